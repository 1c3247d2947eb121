//! An authorization server that says yes to everything it is asked properly, and keeps what it was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::header::{AUTHORIZATION, LOCATION};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use url::{Url, form_urlencoded};

use super::{Answer, Asked};

/// Every token begins with this, so that it can be looked for.
pub(crate) const MARK: &str = "t0p-s3cr3t";
pub(crate) const SECRET: &str = "t0p-s3cr3t-of-the-client";

type Form = BTreeMap<String, String>;

/// Runs until it is dropped.
pub(crate) struct Authority {
    pub(crate) url: String,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    issuer: String,
    /// The protected resource, and who is named as its authorization server.
    resource: Mutex<(String, String)>,
    /// What the answer says of its issuer, if not the truth.
    poses_as: Mutex<Option<String>>,
    /// The challenge of the authorization under way.
    challenge: Mutex<Option<String>>,
    access: Mutex<BTreeSet<String>>,
    refresh: Mutex<BTreeSet<String>>,
    /// Access tokens that are said to lack scopes.
    narrow: Mutex<BTreeSet<String>>,
    is_ill: AtomicBool,
    tokens: Mutex<Vec<Form>>,
    drawn: AtomicUsize,
}

impl Authority {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State { issuer: url.clone(), ..State::default() });
        Self { url, task: tokio::spawn(accept(listener, Arc::clone(&state))), state }
    }

    /// What a protected backend answers instead of the ordinary; `scope` is what it asks for.
    pub(crate) fn guard(&self) -> impl Fn(&Asked) -> Option<Answer> + Send + Sync + use<> {
        let (state, document) = (Arc::clone(&self.state), format!("{}/resource", self.url));
        move |asked| {
            let token = asked.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
            let token = token.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
            let challenge = || Answer::Challenge(401, format!("Bearer resource_metadata=\"{document}\""));
            let lacks = || Answer::Challenge(403, "Bearer error=\"insufficient_scope\"".to_owned());
            let is_narrow = state.narrow.lock().contains(token);
            let is_known = state.access.lock().contains(token);
            is_narrow.then(lacks).or_else(|| (!is_known).then(challenge))
        }
    }

    /// Protects the backend at `url`, in the name of `authority`.
    pub(crate) fn protect(&self, url: &str, authority: &Authority) {
        *self.state.resource.lock() = (url.to_owned(), authority.url.clone());
    }

    /// From now on, answers say that they come from somebody else.
    pub(crate) fn pose_as(&self, issuer: &str) {
        *self.state.poses_as.lock() = Some(issuer.to_owned());
    }

    /// Ends every access token; refresh tokens go on.
    pub(crate) fn expire(&self) {
        self.state.access.lock().clear();
    }

    /// Ends the access token that was the `number`th to be drawn, from 0.
    pub(crate) fn expire_only(&self, number: usize) {
        assert!(self.state.access.lock().remove(&access(number)));
    }

    /// From now on that token is refused for want of scopes that it has.
    pub(crate) fn narrow_only(&self, number: usize) {
        self.state.narrow.lock().insert(access(number));
    }

    /// From now on whoever asks for a token meets an error that says nothing of the grant.
    pub(crate) fn fall_ill(&self) {
        self.state.is_ill.store(true, Ordering::Relaxed);
    }

    /// Ends that token and what would renew it.
    pub(crate) fn revoke_only(&self, number: usize) {
        self.expire_only(number);
        assert!(self.state.refresh.lock().remove(&refresh(number)));
    }

    /// Ends everything it ever granted.
    pub(crate) fn revoke(&self) {
        self.expire();
        self.state.refresh.lock().clear();
    }

    /// The token requests with this grant type.
    pub(crate) fn asked_for(&self, grant: &str) -> Vec<Form> {
        let tokens = self.state.tokens.lock();
        tokens.iter().filter(|form| form["grant_type"] == grant).cloned().collect()
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        let service = service_fn(move |request| {
            let state = Arc::clone(&state);
            async move { Ok::<_, Infallible>(state.answer(request).await) }
        });
        let builder = hyper::server::conn::http1::Builder::new();
        connections.spawn(builder.serve_connection(TokioIo::new(stream), service));
    }
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        match parts.uri.path() {
            "/resource" => {
                let (resource, server) = self.resource.lock().clone();
                respond(200, &json!({ "resource": resource, "authorization_servers": [server] }))
            }
            "/.well-known/oauth-authorization-server" => respond(200, &self.metadata()),
            "/register" => respond(201, &json!({ "client_id": "registered", "redirect_uris": [] })),
            "/authorize" => self.authorize(&form(parts.uri.query().unwrap_or_default().as_bytes())),
            "/token" => {
                let mut asked = form(&body);
                let basic = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
                let basic = basic.and_then(|value| value.strip_prefix("Basic "));
                if let Some(basic) = basic.and_then(|text| STANDARD.decode(text).ok()) {
                    asked.insert("basic".to_owned(), String::from_utf8(basic).unwrap());
                }
                self.tokens.lock().push(asked.clone());
                if self.is_ill.load(Ordering::Relaxed) {
                    return respond(503, &json!({ "error": "temporarily_unavailable" }));
                }
                self.token(&asked).unwrap_or_else(|| respond(400, &json!({ "error": "invalid_grant" })))
            }
            _ => respond(404, &json!({})),
        }
    }

    fn metadata(&self) -> Value {
        let url = &self.issuer;
        json!({
            "issuer": url,
            "authorization_endpoint": format!("{url}/authorize"),
            "token_endpoint": format!("{url}/token"),
            "registration_endpoint": format!("{url}/register"),
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic"],
            "authorization_response_iss_parameter_supported": true,
        })
    }

    /// The person says yes at once.
    fn authorize(&self, asked: &Form) -> Response<Full<Bytes>> {
        *self.challenge.lock() = Some(asked["code_challenge"].clone());
        let issuer = self.poses_as.lock().clone().unwrap_or_else(|| self.issuer.clone());
        let mut back = Url::parse(&asked["redirect_uri"]).unwrap();
        back.query_pairs_mut()
            .append_pair("code", "the-code")
            .append_pair("state", &asked["state"])
            .append_pair("iss", &issuer);
        let mut response = respond(302, &json!({}));
        response.headers_mut().insert(LOCATION, back.as_str().parse().unwrap());
        response
    }

    fn token(&self, asked: &Form) -> Option<Response<Full<Bytes>>> {
        let is_granted = match asked["grant_type"].as_str() {
            "authorization_code" => {
                let verifier = digest(&SHA256, asked["code_verifier"].as_bytes());
                self.challenge.lock().take()? == URL_SAFE_NO_PAD.encode(verifier)
            }
            // One that is used twice was stolen.
            "refresh_token" => self.refresh.lock().remove(&asked["refresh_token"]),
            "client_credentials" => asked.get("basic")? == &format!("machine:{SECRET}"),
            _ => false,
        };
        let number = self.drawn.fetch_add(1, Ordering::Relaxed);
        let (access, refresh) = (access(number), refresh(number));
        self.access.lock().insert(access.clone());
        let mut answer = json!({ "access_token": access, "token_type": "Bearer", "expires_in": 3600 });
        if asked["grant_type"] != "client_credentials" {
            self.refresh.lock().insert(refresh.clone());
            answer["refresh_token"] = refresh.into();
        }
        is_granted.then(|| respond(200, &answer))
    }
}

/// The access token that is drawn as the `number`th.
pub(crate) fn access(number: usize) -> String {
    format!("{MARK}-access-{number}")
}

/// The refresh token that comes with it.
pub(crate) fn refresh(number: usize) -> String {
    format!("{MARK}-refresh-{number}")
}

fn form(text: &[u8]) -> Form {
    form_urlencoded::parse(text).into_owned().collect()
}

fn respond(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(Full::new(body.to_string().into())).unwrap()
}
