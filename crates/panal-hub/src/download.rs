//! One file over HTTP: resumed, retried, bounded and verified. Knows nothing of catalogues, caches or mirrors.

mod attempt;
mod partial;

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::thread;
use std::time::Duration;

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};
use ureq::{Agent, http::Uri};

use crate::error::{At, DownloadFault, HubError};
use crate::files::{md5_file, sha256_file};
use crate::manifest::is_hex;
use crate::progress::Progress;
use attempt::{Failure, attempt};
use partial::Partial;

/// What a downloaded file must be. Whatever is left `None` is not checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expect {
    /// What its SHA-256 starts with: 8 to 64 lower-case hexadecimal digits.
    pub sha256: Option<String>,
    /// Its MD5, 32 lower-case hexadecimal digits. It finds a damaged file; it is no protection against an attacker, who can make two files
    /// of one MD5.
    pub md5: Option<String>,
    /// Its exact size.
    pub bytes: Option<u64>,
    /// A size that it can't exceed, where the exact one is not known.
    pub at_most: Option<u64>,
}

impl Expect {
    pub(crate) fn check(&self) -> Result<(), HubError> {
        for (field, digest, lengths, reason) in [
            ("sha256", &self.sha256, 8..=64, "it must be 8 to 64 lower-case hexadecimal digits"),
            ("md5", &self.md5, 32..=32, "it must be 32 lower-case hexadecimal digits"),
        ] {
            if let Some(value) = digest.clone().filter(|d| !lengths.contains(&d.len()) || !is_hex(d)) {
                return Err(HubError::Expectation { field, value, reason });
            }
        }
        Ok(())
    }

    /// More bytes than this are wrong.
    pub(crate) fn limit(&self) -> u64 {
        self.bytes.or(self.at_most).unwrap_or(u64::MAX)
    }

    /// Whether the contents can be told from others by a digest.
    pub(crate) fn has_digest(&self) -> bool {
        self.sha256.is_some() || self.md5.is_some()
    }

    /// Reads the whole file at `path`, called `what` in errors, and checks all that is known of it.
    pub(crate) fn verify_file(&self, what: &str, path: &Path) -> Result<Downloaded, HubError> {
        let bytes = fs::metadata(path).at("read", path)?.len();
        self.verify_length(what, bytes)?;
        let sha256 = sha256_file(path)?;
        self.verify(what, bytes, &sha256)?;
        if let Some(expected) = &self.md5 {
            let got = md5_file(path)?;
            if got != *expected {
                return Err(HubError::WrongDigest {
                    what: what.into(),
                    algorithm: "MD5",
                    expected: expected.clone(),
                    got,
                });
            }
        }
        Ok(Downloaded { bytes, sha256 })
    }

    /// Checks a whole file, called `what` in errors, by its size and its SHA-256.
    pub(crate) fn verify(&self, what: &str, bytes: u64, sha256: &str) -> Result<(), HubError> {
        self.verify_length(what, bytes)?;
        match &self.sha256 {
            Some(expected) if !sha256.starts_with(expected.as_str()) => {
                let expected = if expected.len() < 64 { format!("{expected}…") } else { expected.clone() };
                Err(HubError::WrongDigest { what: what.into(), algorithm: "SHA-256", expected, got: sha256.into() })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn verify_length(&self, what: &str, bytes: u64) -> Result<(), HubError> {
        let wrong = |expected: String| HubError::WrongLength { what: what.into(), expected, got: bytes.to_string() };
        match (self.bytes, self.at_most) {
            (Some(exact), _) if bytes != exact => Err(wrong(exact.to_string())),
            (None, Some(most)) if bytes > most => Err(wrong(format!("at most {most}"))),
            _ => Ok(()),
        }
    }
}

/// A file that was downloaded and is what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downloaded {
    /// Its size.
    pub bytes: u64,
    /// Its whole SHA-256 in hexadecimal.
    pub sha256: String,
}

/// How long to wait and how often to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// For a connection to come about, name resolution and TLS included.
    pub connect: Duration,
    /// For the response's head to come, and then between any two pieces of the body.
    pub read: Duration,
    /// How many attempts in a row may bring no new byte.
    pub attempts: u32,
    /// Before the second attempt; doubled before each further one, and shortened at random by up to a half.
    pub first_wait: Duration,
    /// The longest wait between attempts. A server whose `Retry-After` asks for more is given up.
    pub longest_wait: Duration,
    /// How many redirects are followed.
    pub redirects: u32,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(30),
            attempts: 5,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(60),
            redirects: 5,
        }
    }
}

impl Patience {
    /// The wait after the `failures`-th failure in a row.
    fn wait(&self, failures: u32) -> Duration {
        let whole = self.first_wait.saturating_mul(1 << (failures - 1).min(16)).min(self.longest_wait);
        let random = RandomState::new().hash_one(failures) as f64 / u64::MAX as f64;
        whole.mul_f64(1.0 - random / 2.0)
    }
}

/// [`download_with`] the default [`Patience`].
///
/// # Errors
/// Those of [`download_with`].
pub fn download(url: &str, dest: &Path, expect: &Expect, progress: &dyn Progress) -> Result<Downloaded, HubError> {
    download_with(&Patience::default(), url, dest, expect, progress)
}

/// Downloads `url` to the file `dest`, which appears only when it is whole and is what `expect` says.
///
/// What has come so far is kept beside it, in `dest` + `.part`, and continued by a range request, now and in later calls;
/// where the server can't, or its file has changed, the download begins anew. Failed connections, stalls, cut bodies and the
/// statuses 408, 429, 500, 502, 503 and 504 are tried again; other statuses are not. Contents that are not what `expect` says
/// are deleted. Proxies are taken from `ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, but never for loopback;
/// further root certificates from `SSL_CERT_FILE`, in place of the built-in ones. An address with `https` is never
/// redirected to one without.
///
/// Two calls for one `dest` at the same time are not safe: hold a [`Lock`](crate::Lock).
///
/// # Errors
/// [`HubError::Download`], [`HubError::WrongLength`], [`HubError::WrongDigest`], [`HubError::Expectation`],
/// [`HubError::Setting`] for an unusable `SSL_CERT_FILE`, [`HubError::Io`], [`HubError::Cancelled`].
pub fn download_with(
    patience: &Patience,
    url: &str,
    dest: &Path,
    expect: &Expect,
    progress: &dyn Progress,
) -> Result<Downloaded, HubError> {
    expect.check()?;
    let agent = agent(patience, url)?;
    let mut part = Partial::open(dest, url, expect)?;
    let mut furthest = part.bytes();
    let mut failures = 0;
    loop {
        match attempt(&agent, url, &mut part, expect, progress) {
            Ok(()) => {
                progress.finish();
                let resumed = part.is_resumed();
                match part.verify(url, expect) {
                    Ok(done) => {
                        part.publish()?;
                        return Ok(done);
                    }
                    // The piece that was there may have been another file's.
                    Err(HubError::WrongDigest { .. }) if resumed => {
                        progress.message("the resumed file has the wrong contents; it is downloaded anew");
                        part.restart()?;
                    }
                    Err(error) => {
                        part.discard();
                        return Err(error);
                    }
                }
            }
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Passing { reason, wait }) => {
                if part.bytes() > furthest {
                    furthest = part.bytes();
                    failures = 0;
                }
                failures += 1;
                let fault = match wait {
                    _ if failures >= patience.attempts => DownloadFault::Network { reason, attempts: failures },
                    Some(wait) if wait > patience.longest_wait => DownloadFault::Busy { seconds: wait.as_secs() },
                    _ => {
                        let wait = wait.unwrap_or_default().max(patience.wait(failures));
                        progress.retry(&reason, wait);
                        sleep(wait, progress)?;
                        continue;
                    }
                };
                return Err(HubError::Download { url: url.into(), fault });
            }
        }
    }
}

/// Whether a server answers for `url`, asked once for one byte and given `limit` for the whole of it. Nothing is kept.
///
/// # Errors
/// [`HubError::Download`] with the reason, [`HubError::Setting`] for an unusable `SSL_CERT_FILE`.
pub(crate) fn ask(url: &str, limit: Duration) -> Result<(), HubError> {
    let patience = Patience { connect: limit, read: limit, ..Patience::default() };
    match attempt::first_byte(&agent(&patience, url)?, url, limit) {
        Ok(()) => Ok(()),
        Err(Failure::Final(error)) => Err(error),
        Err(Failure::Passing { reason, .. }) => {
            Err(HubError::Download { url: url.into(), fault: DownloadFault::Network { reason, attempts: 1 } })
        }
    }
}

/// Sleeps, and wakes up when the caller cancels.
fn sleep(wait: Duration, progress: &dyn Progress) -> Result<(), HubError> {
    const STEP: Duration = Duration::from_millis(50);
    let mut left = wait;
    while !left.is_zero() {
        if progress.cancelled() {
            return Err(HubError::Cancelled);
        }
        let step = left.min(STEP);
        thread::sleep(step);
        left -= step;
    }
    Ok(())
}

fn agent(patience: &Patience, url: &str) -> Result<Agent, HubError> {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(patience.redirects)
        .max_redirects_will_error(true)
        .https_only(url.starts_with("https://"))
        .user_agent(concat!("panal-hub/", env!("CARGO_PKG_VERSION")))
        .accept_encoding("identity")
        .timeout_resolve(Some(patience.connect))
        .timeout_connect(Some(patience.connect))
        .timeout_recv_response(Some(patience.read))
        .timeout_per_read(Some(patience.read))
        .timeout_per_write(Some(patience.read));
    if let Some(path) = std::env::var_os("SSL_CERT_FILE") {
        config = config.tls_config(TlsConfig::builder().root_certs(root_certificates(Path::new(&path))?).build());
    }
    if is_loopback(url) {
        config = config.proxy(None);
    }
    Ok(config.build().new_agent())
}

fn root_certificates(path: &Path) -> Result<RootCerts, HubError> {
    let unusable =
        |reason: String| HubError::Setting { variable: "SSL_CERT_FILE", value: path.display().to_string(), reason };
    let pem = std::fs::read(path).map_err(|error| unusable(format!("it can't be read: {error}")))?;
    let certificates: Vec<Certificate<'static>> = ureq::tls::parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(unusable("it holds no certificate in PEM form".into()));
    }
    Ok(certificates.into())
}

fn is_loopback(url: &str) -> bool {
    let host = url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_never_under_half() {
        let patience = Patience { longest_wait: Duration::from_secs(3), ..Patience::default() };
        for (failures, whole) in [(1, 0.5), (2, 1.0), (3, 2.0), (4, 3.0), (40, 3.0)] {
            let wait = patience.wait(failures).as_secs_f64();
            assert!((whole / 2.0..=whole).contains(&wait), "{failures}: {wait}");
        }
    }

    #[test]
    fn loopback_is_known_by_name_and_by_address() {
        for url in ["http://localhost:80/a", "http://127.0.0.1:8080/", "http://127.3.2.1/", "http://[::1]:80/a"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in ["https://download.pytorch.org/a", "http://10.0.0.1/", "http://localhost.example.org/", "nonsense"] {
            assert!(!is_loopback(url), "{url}");
        }
    }

    #[test]
    fn an_expectation_that_no_file_can_meet_is_refused() {
        for digest in ["", "f37072f", "F37072FD", &"0".repeat(65)] {
            let expect = Expect { sha256: Some(digest.into()), ..Expect::default() };
            assert!(matches!(expect.check(), Err(HubError::Expectation { field: "sha256", .. })), "{digest}");
            let expect = Expect { md5: Some(digest.into()), ..Expect::default() };
            assert!(matches!(expect.check(), Err(HubError::Expectation { field: "md5", .. })), "{digest}");
        }
    }
}
