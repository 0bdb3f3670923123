//! Which certificates the operator's clients trust.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::Operator;

/// Variables that name a file with certificates.
const VARIABLES: [&str; 7] = [
    "SSL_CERT_FILE",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
    "CARGO_HTTP_CAINFO",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
];
/// Where distributions have theirs: Debian, Fedora, openSUSE, Alpine.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The files that the operator's variables name, and the system's.
pub(super) fn of_env(operator: &Operator) -> BTreeSet<PathBuf> {
    let named = VARIABLES.iter().filter_map(|name| operator.get(name)).map(PathBuf::from);
    let system = SYSTEM.into_iter().map(PathBuf::from).find(|path| path.is_file());
    named.chain(system).filter_map(|path| path.canonicalize().ok()).collect()
}

/// All certificates of some files, each once, and nothing else that is in them: people keep keys
/// beside their certificates.
pub(super) fn bundle(files: &BTreeSet<PathBuf>) -> Vec<u8> {
    let mut seen = BTreeSet::new();
    let mut all = String::new();
    for text in files.iter().filter_map(|path| read(path)) {
        for block in text.split(BEGIN).skip(1) {
            let Some((body, _)) = block.split_once(END) else { continue };
            let compact: String = body.split_whitespace().collect();
            if seen.insert(compact) {
                all.push_str(&format!("{BEGIN}\n{}\n{END}\n", body.trim()));
            }
        }
    }
    all.into_bytes()
}

fn read(path: &Path) -> Option<String> {
    let size = std::fs::metadata(path).ok().filter(|file| file.is_file())?.len();
    let bytes = (size <= MAX_FILE_BYTES).then(|| std::fs::read(path).ok()).flatten()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_taken_and_keys_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        let key = "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----";
        std::fs::write(&a, format!("# A\n{BEGIN}\nAAA\n{END}\n{key}\n{BEGIN}\nBBB\n{END}"))
            .unwrap();
        std::fs::write(&b, format!("{BEGIN}\r\nAAA\r\n{END}\r\n{BEGIN}\nhalf")).unwrap();
        let text = String::from_utf8(bundle(&[a, b].into())).unwrap();
        assert_eq!(text, format!("{BEGIN}\nAAA\n{END}\n{BEGIN}\nBBB\n{END}\n"));
    }
}
