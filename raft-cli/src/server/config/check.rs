//! What `--check-config` looks at beyond the settings themselves: whether the files that they name
//! can be read. It does not look into them; that is for whoever uses them.

use std::fs::File;

use super::{ServerConfig, TlsFiles};

/// What is wrong with them.
pub(super) fn files(config: &ServerConfig) -> Vec<String> {
    let client = ["cert-file", "key-file", "trusted-ca-file"];
    let peer = ["peer-cert-file", "peer-key-file", "peer-trusted-ca-file"];
    let all = [(client, &config.client_tls), (peer, &config.peer_tls)];
    let named = all.into_iter();
    named
        .filter_map(|(names, files)| Some((names, files.as_ref()?)))
        .flat_map(|(names, files)| unreadable(names, files))
        .collect()
}

fn unreadable([certificate, key, authority]: [&str; 3], files: &TlsFiles) -> Vec<String> {
    let named = [
        (certificate, Some(&files.certificate)),
        (key, Some(&files.key)),
        (authority, files.authority.as_ref()),
    ];
    let named = named.into_iter();
    let named = named.filter_map(|(name, path)| Some((name, path?)));
    let errors = named.filter_map(|(name, path)| {
        let error = File::open(path).err()?;
        Some(format!("--{name}: {}: {error}", path.display()))
    });
    errors.collect()
}
