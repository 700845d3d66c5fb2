//! The list of an archive's files and their digests, in the text format of `sha256sum`. Opens no file.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::error::HubError;
use crate::files::hex;
use crate::unpack::check_name;

/// Which files an archive must hold, and the SHA-256 of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    files: BTreeMap<String, String>,
}

impl Manifest {
    /// Reads the lines of `sha256sum`: 64 hexadecimal digits, a space, a space or `*`, a relative path with `/` between folders.
    ///
    /// # Errors
    /// [`HubError::Manifest`] names `manifest`, the line and what is wrong: no digest, an unsafe path, a path twice, no line at all.
    pub fn parse(manifest: &str, text: &str) -> Result<Manifest, HubError> {
        let mut files = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let wrong = |reason: String| HubError::Manifest { manifest: manifest.into(), line: index + 1, reason };
            let (digest, path) = line
                .split_once("  ")
                .or_else(|| line.split_once(" *"))
                .ok_or_else(|| wrong("expected a digest, two spaces and a path".into()))?;
            if digest.len() != 64 || !is_hex(digest) {
                return Err(wrong(format!("`{digest}` is no SHA-256 of 64 lower-case hexadecimal digits")));
            }
            check_name(path)
                .map_err(|reason| wrong(format!("the path `{}` is refused: {reason}", path.escape_debug())))?;
            if files.insert(path.to_owned(), digest.to_owned()).is_some() {
                return Err(wrong(format!("`{path}` stands here twice")));
            }
        }
        if files.is_empty() {
            return Err(HubError::Manifest { manifest: manifest.into(), line: 1, reason: "it lists no file".into() });
        }
        Ok(Manifest { files })
    }

    /// The manifest of files that are known by now: pairs of a path and its digest. `None` for no file.
    pub(crate) fn of(files: impl IntoIterator<Item = (String, String)>) -> Option<Manifest> {
        let files: BTreeMap<_, _> = files.into_iter().collect();
        (!files.is_empty()).then_some(Manifest { files })
    }

    /// The lines of `sha256sum`, sorted by path.
    pub(crate) fn to_text(&self) -> String {
        self.iter().map(|(path, digest)| format!("{digest}  {path}\n")).collect()
    }

    /// The files and their digests, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, digest)| (path.as_str(), digest.as_str()))
    }

    /// The digest that the file at `path` must have.
    pub fn get(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// How many files there are; never 0.
    #[allow(clippy::len_without_is_empty, reason = "an empty manifest does not parse")]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// SHA-256 over the sorted lines: one name for the whole contents of the archive.
    pub fn digest(&self) -> String {
        hex(Sha256::new_with_prefix(self.to_text()))
    }
}

pub(crate) fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "3238568557b6136ee97388a7ee2737d62fe4f2b1ee554993bff79216341a0951";

    #[test]
    fn the_order_of_lines_does_not_change_the_digest() {
        let other = DIGEST.replace('3', "4");
        let a = Manifest::parse("m", &format!("{DIGEST}  a/b c.jpg\n{other} *d.jpg\n")).unwrap();
        let b = Manifest::parse("m", &format!("{other}  d.jpg\n{DIGEST}  a/b c.jpg\n")).unwrap();
        assert_eq!(a, b);
        assert_eq!((a.digest(), a.len()), (b.digest(), 2));
        assert_eq!(a.get("a/b c.jpg"), Some(DIGEST));
    }

    #[test]
    fn an_error_names_the_line() {
        let twice = format!("{DIGEST}  a\n{DIGEST}  a\n");
        let climbing = format!("{DIGEST}  a\n{DIGEST}  ../a\n");
        let short = format!("{DIGEST}  a\n{}  b\n", &DIGEST[1..]);
        for (text, line, word) in [
            ("", 1, "no file"),
            ("hello\n", 1, "expected a digest"),
            (&twice, 2, "twice"),
            (&climbing, 2, "refused"),
            (&short, 2, "no SHA-256"),
        ] {
            let error = Manifest::parse("m.sha256", text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("m.sha256, line {line}: ")) && error.contains(word), "{error}");
        }
    }
}
