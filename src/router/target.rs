//! Which backend owns a request, and under which name it knows what is asked for.

use std::sync::Arc;

use serde_json::json;

use crate::catalog::{Catalog, Route, ToolEntry};
use crate::protocol::{Era, ListKind, Object, RawJson, Routed, RpcError, code};

use super::request::Inbound;
use super::router::Router;
use super::{tasks, vendor};

/// Where a request goes.
pub(super) struct Target {
    pub route: Route,
    /// The replica that has what this goes on with: a state it gave, or a task.
    pub replica: Option<String>,
    /// For tool calls.
    pub tool: Option<Arc<ToolEntry>>,
    /// The client's parameters, cut into members.
    pub params: Object,
    /// The gateway follows the task that a modern backend makes of the call, for a client that knows none.
    pub is_followed: bool,
}

impl Target {
    /// A target of which nothing but its route is known.
    pub(super) fn of_route(route: Route) -> Self {
        Self { route, replica: None, tool: None, params: Object::new(), is_followed: false }
    }
}

/// Finds the owner.
///
/// # Errors
/// −32602 (−32002 for a resource towards a legacy client) naming what is unknown and what is near.
pub(super) fn resolve(router: &Router, catalog: &Catalog, inbound: &Inbound) -> Result<Target, RpcError> {
    let params = inbound.params.clone().unwrap_or_else(RawJson::empty_object);
    let params = Object::parse(&params).ok_or_else(|| {
        RpcError::invalid_params("`params` must be an object in which no member stands twice")
    })?;
    let (route, tool) = match inbound.routed {
        Routed::CallTool => {
            let name = text(&params, "name")?;
            let unlisted = || catalog.unlisted(ListKind::Tools, &name).map(ToolEntry::unlisted);
            let tool = catalog.tool(&name).cloned().or_else(unlisted);
            let tool = tool.ok_or_else(|| unknown(catalog, ListKind::Tools, "tool", &name))?;
            (tool.route.clone(), Some(tool))
        }
        Routed::GetPrompt => (prompt(catalog, &text(&params, "name")?)?, None),
        Routed::ReadResource => {
            (resource(catalog, inbound.caller.revision.era(), &text(&params, "uri")?)?, None)
        }
        Routed::GetSkill | Routed::ReadDirectory => {
            let (era, uri) = (inbound.caller.revision.era(), text(&params, "uri")?);
            (catalog.resource(&uri).ok_or_else(|| no_resource(era, &uri))?, None)
        }
        Routed::Complete => (reference(catalog, &params)?, None),
        Routed::GetTask | Routed::UpdateTask | Routed::CancelTask => return Err(tasks::unknown()),
        Routed::Vendor => (vendor::route(&router.fleet(), inbound.vendor_method.as_ref())?, None),
    };
    Ok(Target { route, replica: None, tool, params, is_followed: false })
}

fn text(object: &Object, key: &str) -> Result<String, RpcError> {
    let value = object.get(key).and_then(|value| value.string().map(String::from));
    value.ok_or_else(|| RpcError::invalid_params(format!("`params.{key}` must be a string")))
}

fn prompt(catalog: &Catalog, name: &str) -> Result<Route, RpcError> {
    let route = catalog.prompt(name).cloned().or_else(|| catalog.unlisted(ListKind::Prompts, name));
    route.ok_or_else(|| unknown(catalog, ListKind::Prompts, "prompt", name))
}

/// A URI in no list goes to the only backend that can have it. One that several may have is asked of none: it may say
/// something about its reader.
pub(super) fn resource(catalog: &Catalog, era: Era, uri: &str) -> Result<Route, RpcError> {
    let route = catalog.resource(uri).or_else(|| catalog.unlisted_resource(uri));
    route.ok_or_else(|| no_resource(era, uri))
}

fn no_resource(era: Era, uri: &str) -> RpcError {
    let code = match era {
        Era::Modern => code::INVALID_PARAMS,
        Era::Legacy => code::RESOURCE_NOT_FOUND,
    };
    RpcError::new(code, "no backend offers this resource").with_data(json!({ "uri": uri }))
}

/// What a request names: a tool, a prompt, a resource, or what its completion is about.
pub(super) fn named(inbound: &Inbound) -> Option<Named> {
    let params = inbound.params.as_ref()?;
    let text = |value: Option<RawJson>| value.and_then(|value| value.string().map(String::from));
    match inbound.routed {
        Routed::CallTool | Routed::GetPrompt => text(params.get("name")).map(Named::Name),
        Routed::ReadResource => text(params.get("uri")).map(Named::Uri),
        Routed::Complete => {
            let reference = params.get("ref")?;
            let name = text(reference.get("name")).map(Named::Name);
            name.or_else(|| text(reference.get("uri")).map(Named::Uri))
        }
        _ => None,
    }
}

/// The name or URI of a request, as its client spells it.
pub(super) enum Named {
    Name(String),
    Uri(String),
}

impl Named {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Name(text) | Self::Uri(text) => text,
        }
    }
}

/// What a completion is about: a prompt by name or a resource template by its text.
fn reference(catalog: &Catalog, params: &Object) -> Result<Route, RpcError> {
    let invalid = || RpcError::invalid_params("`params.ref` must be a `ref/prompt` or a `ref/resource`");
    let reference = params.get("ref").and_then(Object::parse).ok_or_else(invalid)?;
    match text(&reference, "type").map_err(|_| invalid())?.as_str() {
        "ref/prompt" => prompt(catalog, &text(&reference, "name").map_err(|_| invalid())?),
        "ref/resource" => {
            let uri = text(&reference, "uri").map_err(|_| invalid())?;
            let route = catalog.resource_template(&uri).cloned().or_else(|| catalog.resource(&uri));
            let route = route.or_else(|| catalog.unlisted_resource(&uri));
            route.ok_or_else(|| RpcError::invalid_params("no backend offers this resource or template"))
        }
        _ => Err(invalid()),
    }
}

fn unknown(catalog: &Catalog, kind: ListKind, what: &str, name: &str) -> RpcError {
    let nearest = catalog.nearest(kind, name, 3);
    let shown: String = name.chars().take(100).collect();
    let hint = match nearest.as_slice() {
        [] => format!("; `{}` shows what there is", kind.method()),
        names => format!("; did you mean `{}`?", names.join("`, `")),
    };
    RpcError::invalid_params(format!("unknown {what} `{shown}`{hint}"))
        .with_data(json!({ "nearest": nearest }))
}
