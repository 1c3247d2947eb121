//! What do a server and a client on rmcp see of each other, with a gateway between them and without?
//!
//! Both sides of the interop matrix for the Rust SDK; the other SDKs' are beside this folder.
//!
//! ```text
//! interop_peer serve NAME [--era both|modern] (--port PORT | --stdio)
//! interop_peer visit PLAN
//! ```

mod client;
mod plan;
mod server;
mod steps;

use clap::{Parser, Subcommand, ValueEnum};
use rmcp::{ServiceExt as _, model::ProtocolVersion};

use server::Contract;

#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Be a server
    Serve {
        name: String,
        #[arg(long, value_enum, default_value = "both")]
        era: Era,
        /// Serve http://127.0.0.1:PORT/mcp
        #[arg(long, conflicts_with = "stdio", required_unless_present = "stdio")]
        port: Option<u16>,
        /// Serve standard input and output
        #[arg(long)]
        stdio: bool,
    },
    /// Be a client; prints one line of JSON for each target of the plan
    Visit { plan: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Era {
    Both,
    Modern,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Options::parse().role {
        Role::Visit { plan } => client::visit_all(serde_json::from_str(&plan)?).await?,
        Role::Serve { name, era, port, .. } => {
            let revisions = ProtocolVersion::KNOWN_VERSIONS.iter().cloned();
            let spoken = revisions.filter(|revision| era == Era::Both || !revision.has_initialize());
            let contract = Contract::new(&name, spoken.collect());
            match port {
                Some(port) => return server::http(contract, port).await,
                None => contract.serve(rmcp::transport::stdio()).await?.waiting().await?,
            };
        }
    }
    Ok(())
}
