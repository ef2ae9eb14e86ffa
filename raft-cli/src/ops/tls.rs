//! `raft-cli tls`: an authority of one's own, certificates that it signs, and a way for a new
//! machine to get the authority's certificate over a network that nobody trusts.
//!
//! Private keys never leave the machine that they were made on. It does not know what the
//! certificates are used for, beyond the flags that it prints.

mod authority;
mod fetch;
mod files;
mod issue;
#[cfg(test)]
mod tests;
mod token;
mod trust;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::exit::Exit;
use crate::out::Out;

/// What to do about certificates.
#[derive(Debug, Args)]
pub(crate) struct TlsArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make certificates, and the authority that signs them if there is none.
    Gen(GenArgs),
    /// Print what a new machine needs to get the authority's certificate with `tls fetch`.
    Token(TokenArgs),
    /// Get the authority's certificate that a token pins from any server that has it.
    Fetch(FetchArgs),
}

const GEN_HELP: &str = "\
Examples:
  On the machine that keeps the authority: all for n1, and for an operator's client:
    raft-cli tls gen --out tls/n1 --ca tls/ca --hosts n1.example,10.0.0.1 --name n1
    raft-cli tls gen --out tls/alice --ca tls/ca --client alice
  Carry tls/n1 to n1, and never tls/ca/ca.key. The same with --force before they expire; servers
  read them again at SIGHUP.";

/// What to make.
#[derive(Debug, Args)]
#[command(after_help = GEN_HELP)]
struct GenArgs {
    /// Where the certificates go.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Under which names and addresses the server is reached: makes server.* and peer.*
    #[arg(
        long,
        value_name = "HOST,..",
        value_delimiter = ',',
        required_unless_present = "client"
    )]
    hosts: Vec<String>,
    /// The name of the member in its certificates [default: the first host]
    #[arg(long, requires = "hosts")]
    name: Option<String>,
    /// The name of a client: makes client.*
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Where ca.crt and ca.key are, or go if there are none [default: where the certificates go]
    #[arg(long, value_name = "DIR")]
    ca: Option<PathBuf>,
    /// For how many days the certificates are good. An authority is for ten years.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// Replace certificates that are there. An authority is never replaced.
    #[arg(long)]
    force: bool,
}

/// What a token is for.
#[derive(Debug, Args)]
struct TokenArgs {
    /// Where ca.crt is; the key to it is not needed.
    #[arg(long, value_name = "DIR")]
    ca: PathBuf,
    /// A server that has a certificate of this authority, to be named in the token.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
}

const FETCH_HELP: &str = "\
The token names the authority's certificate by its SHA-256, so nobody on the way can put another in
its place; it is no secret. What is fetched lets this machine trust servers, and nobody trust this
machine: to get certificates of its own, run `raft-cli tls gen` where ca.key is, and carry them
here. Certificates are not issued over the network.";

/// What to fetch, and from whom.
#[derive(Debug, Args)]
#[command(after_help = FETCH_HELP)]
struct FetchArgs {
    /// What `tls token` printed.
    #[arg(long)]
    token: String,
    /// A server that has a certificate of this authority [default: the one in the token]
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Where ca.crt goes.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace a certificate that is there and is another.
    #[arg(long)]
    force: bool,
}

/// Does it.
pub(crate) fn run(args: TlsArgs, out: &mut Out) -> Result<(), Exit> {
    let text = match args.verb {
        Verb::Gen(args) => issue::issue(&args)?,
        Verb::Token(args) => token::print(&args)?,
        Verb::Fetch(args) => fetch::fetch(&args)?,
    };
    out.bytes(text.as_bytes())?;
    out.flush()
}
