//! `tls gen`: which files there are, and what to do with them next. Nothing is written before it is
//! clear that all can be.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};

use super::GenArgs;
use super::authority::{Authority, Purpose, Signed};
use super::files::{self, Secrecy};
use crate::exit::Exit;

const AUTHORITY: &str = "ca";

/// Makes what is asked for; returns what to say about it.
pub(super) fn issue(args: &GenArgs) -> Result<String, Exit> {
    let wanted = wanted(args);
    refuse_to_replace(args, &wanted).map_err(Exit::BadInput)?;
    let ca = args.ca.as_ref().unwrap_or(&args.out);
    let mut told = String::new();
    let (authority, key) = authority(ca)?;
    let trusted = file(&args.out, AUTHORITY, "crt");
    let is_to_be_trusted = *ca != args.out && !is_trusted(args, &trusted, &authority)?;
    // Whatever can't be signed is found out before anything is written.
    let signed = wanted.iter().map(|(name, purpose, holder)| {
        let hosts = match purpose {
            Purpose::Member => args.hosts.as_slice(),
            Purpose::Client => &[],
        };
        let signed = authority.sign(*purpose, holder, hosts, args.days)?;
        Ok((*name, signed))
    });
    let signed = signed.collect::<anyhow::Result<Vec<(&str, Signed)>>>()?;
    files::make_dir(&args.out)?;
    if let Some(key) = key {
        files::make_dir(ca)?;
        write(
            &mut told,
            &file(ca, AUTHORITY, "key"),
            Secrecy::Private,
            &key,
        )?;
        let path = file(ca, AUTHORITY, "crt");
        write(&mut told, &path, Secrecy::Public, authority.certificate())?;
    }
    if is_to_be_trusted {
        write(
            &mut told,
            &trusted,
            Secrecy::Public,
            authority.certificate(),
        )?;
    }
    for (name, signed) in &signed {
        let path = file(&args.out, name, "key");
        write(&mut told, &path, Secrecy::Private, &signed.key)?;
        let path = file(&args.out, name, "crt");
        write(&mut told, &path, Secrecy::Public, &signed.chain)?;
    }
    told.push_str(&next(args));
    Ok(told)
}

/// Names of files, what they are for, and who holds them.
fn wanted(args: &GenArgs) -> Vec<(&'static str, Purpose, &str)> {
    let mut wanted = Vec::new();
    if let Some(host) = args.hosts.first() {
        let holder = args.name.as_ref().unwrap_or(host);
        wanted.push(("server", Purpose::Member, holder.as_str()));
        wanted.push(("peer", Purpose::Member, holder.as_str()));
    }
    if let Some(client) = &args.client {
        wanted.push(("client", Purpose::Client, client.as_str()));
    }
    wanted
}

fn refuse_to_replace(args: &GenArgs, wanted: &[(&str, Purpose, &str)]) -> anyhow::Result<()> {
    if args.force {
        return Ok(());
    }
    let names = wanted.iter().flat_map(|(name, _, _)| {
        let extensions = ["crt", "key"].into_iter();
        extensions.map(|extension| file(&args.out, name, extension))
    });
    let there: Vec<String> = names
        .filter(|path| path.exists())
        .map(|path| path.display().to_string())
        .collect();
    if there.is_empty() {
        return Ok(());
    }
    let there = there.join(", ");
    bail!("{there}: there already; --force replaces them, or give another --out");
}

/// Whether the authority is in the trusted file already; perhaps among others, while authorities
/// change, and then these must stay.
fn is_trusted(args: &GenArgs, path: &Path, authority: &Authority) -> Result<bool, Exit> {
    let Some(text) = files::read(path)? else {
        return Ok(false);
    };
    let is_there = text.contains(authority.certificate().trim());
    if is_there || args.force {
        return Ok(is_there);
    }
    let path = path.display();
    let what = anyhow!(
        "{path}: another authority is trusted there; append ca.crt to it to trust both, or \
         replace it with --force"
    );
    Err(Exit::BadInput(what))
}

/// The authority of a directory; a new one if there is none, and then its key as well.
fn authority(dir: &Path) -> anyhow::Result<(Authority, Option<String>)> {
    let (certificate, key) = (file(dir, AUTHORITY, "crt"), file(dir, AUTHORITY, "key"));
    match (files::read(&certificate)?, files::read(&key)?) {
        (None, None) => {
            let (authority, key) = Authority::new()?;
            Ok((authority, Some(key)))
        }
        (Some(text), Some(secret)) => {
            let found = Authority::read(text, &secret);
            let found = found.with_context(|| key.display().to_string())?;
            Ok((found, None))
        }
        // A new authority beside half of an old one would be trusted by nobody.
        (Some(_), None) => Err(missing(&key, &certificate)),
        (None, Some(_)) => Err(missing(&certificate, &key)),
    }
}

fn missing(path: &Path, other: &Path) -> anyhow::Error {
    let (path, other) = (path.display(), other.display());
    anyhow!(
        "{path}: missing, though {other} is there: run this where the authority is kept, or give \
         its directory as --ca"
    )
}

fn file(dir: &Path, name: &str, extension: &str) -> PathBuf {
    dir.join(format!("{name}.{extension}"))
}

fn write(told: &mut String, path: &Path, secrecy: Secrecy, text: &str) -> anyhow::Result<()> {
    files::write(path, secrecy, text)?;
    let note = match secrecy {
        Secrecy::Public => "",
        Secrecy::Private => " (keep it secret)",
    };
    writeln!(told, "wrote {}{note}", path.display())?;
    Ok(())
}

/// The flags that use what was made.
fn next(args: &GenArgs) -> String {
    let path = |name, extension| file(&args.out, name, extension).display().to_string();
    let authority = path(AUTHORITY, "crt");
    let mut text = String::new();
    if !args.hosts.is_empty() {
        let (cert, key) = (path("server", "crt"), path("server", "key"));
        let (peer_cert, peer_key) = (path("peer", "crt"), path("peer", "key"));
        text.push_str(&format!(
            "\nServer, with https:// in all its URLs:\n  raft-cli server ... \\\n    \
             --cert-file {cert} --key-file {key} \\\n    \
             --peer-cert-file {peer_cert} --peer-key-file {peer_key} \\\n    \
             --peer-trusted-ca-file {authority}\n  \
             and, if clients must have certificates: --client-cert-auth --trusted-ca-file \
             {authority}\n"
        ));
    }
    text.push_str(&format!(
        "\nClient:\n  raft-cli get ... --cacert {authority}"
    ));
    if args.client.is_some() {
        let (cert, key) = (path("client", "crt"), path("client", "key"));
        text.push_str(&format!(" --cert {cert} --key {key}"));
    }
    text.push('\n');
    text
}
