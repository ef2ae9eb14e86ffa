//! A token: who, since when, and a proof that a member has said so (HMAC-SHA-256, RFC 2104). It
//! does not know whether it is still good.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// The bytes of a proof.
const PROOF_BYTES: usize = 32;
/// What SHA-256 takes at one time.
const BLOCK_BYTES: usize = 64;
/// Keeps the key of tokens apart from all else that could follow from the same secret.
const PURPOSE: &[u8] = b"raft-cli token v1";
/// No token is longer, so that none is read that can't be one.
const TOKEN_CHARS_MAX: usize = 4096;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// Who.
    pub(super) user: String,
    /// The revision of users under which the password was right.
    pub(super) auth_revision: u64,
    /// When that was, in seconds since 1970, by the clock of the member who said so.
    pub(super) issued_s: u64,
    /// What tells it from others.
    pub(super) proof: [u8; PROOF_BYTES],
}

/// Signs tokens, and knows them again.
pub(super) struct Signer {
    key: [u8; PROOF_BYTES],
    /// Nothing follows from no secret.
    has_secret: bool,
}

impl Signer {
    /// Of a cluster in which this secret was drawn.
    pub(super) fn new(secret: &[u8], cluster: u64) -> Self {
        let purpose = [PURPOSE, &cluster.to_le_bytes()].concat();
        Self {
            key: hmac(secret, &purpose),
            has_secret: !secret.is_empty(),
        }
    }

    /// A token that says this.
    pub(super) fn sign(&self, user: &str, auth_revision: u64, issued_s: u64) -> String {
        let mut said = Vec::with_capacity(16 + user.len());
        said.extend_from_slice(&auth_revision.to_le_bytes());
        said.extend_from_slice(&issued_s.to_le_bytes());
        said.extend_from_slice(user.as_bytes());
        let proof = hmac(&self.key, &said);
        let (said, proof) = (URL_SAFE_NO_PAD.encode(said), URL_SAFE_NO_PAD.encode(proof));
        format!("{said}.{proof}")
    }

    /// What a token says; `None` if it was not signed by a member of this cluster since its secret
    /// was drawn.
    pub(super) fn read(&self, token: &str) -> Option<Token> {
        if !self.has_secret || token.len() > TOKEN_CHARS_MAX {
            return None;
        }
        let (said, shown) = token.split_once('.')?;
        let said = URL_SAFE_NO_PAD.decode(said).ok()?;
        let shown = URL_SAFE_NO_PAD.decode(shown).ok()?;
        let proof = hmac(&self.key, &said);
        if !is_same(&proof, &shown) {
            return None;
        }
        let (auth_revision, rest) = said.split_first_chunk()?;
        let (issued_s, user) = rest.split_first_chunk()?;
        Some(Token {
            user: String::from_utf8(user.to_vec()).ok()?,
            auth_revision: u64::from_le_bytes(*auth_revision),
            issued_s: u64::from_le_bytes(*issued_s),
            proof,
        })
    }
}

/// Looks at all bytes, so that the time it takes does not tell how many are right.
fn is_same(proof: &[u8], shown: &[u8]) -> bool {
    let differing = proof.iter().zip(shown).fold(0, |sum, (a, b)| sum | (a ^ b));
    proof.len() == shown.len() && differing == 0
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; PROOF_BYTES] {
    let mut block = [0; BLOCK_BYTES];
    if key.len() > BLOCK_BYTES {
        block[..PROOF_BYTES].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let padded = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(message)
        .finalize();
    let outer = Sha256::new().chain_update(padded(0x5c)).chain_update(inner);
    outer.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The examples 1, 2 and 6 of RFC 4231.
    #[test]
    fn proofs_are_what_the_standard_says() {
        for (key, message, expected) in [
            (
                &[0x0b; 20][..],
                &b"Hi There"[..],
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(hex(&hmac(key, message)), expected);
        }
    }

    #[test]
    fn a_token_says_what_was_signed_and_nothing_else_is_one() {
        let signer = Signer::new(b"secret", 7);
        let token = signer.sign("märz", 3, 1_700_000_000);
        let read = signer.read(&token).expect("it was signed");
        assert_eq!(
            (&*read.user, read.auth_revision, read.issued_s),
            ("märz", 3, 1_700_000_000)
        );
        assert_eq!(Signer::new(b"secret", 8).read(&token), None);
        assert_eq!(Signer::new(b"other", 7).read(&token), None);
        let empty = Signer::new(b"", 7);
        assert_eq!(empty.read(&empty.sign("root", 1, 1)), None);
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("letters");
            assert_eq!(signer.read(&changed), None, "{changed}");
        }
        for none in [
            "",
            ".",
            "a",
            "a.b.c",
            "abcdefghijklmnop.12",
            &"a".repeat(9999),
        ] {
            assert_eq!(signer.read(none), None, "{none}");
        }
    }
}
