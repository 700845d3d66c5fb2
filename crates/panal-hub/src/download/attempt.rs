//! One request, and what its answer means for the part that has come so far. Does not try again: [`super`] does.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use ureq::http::{HeaderMap, StatusCode, header};
use ureq::{Agent, Body};

use super::Expect;
use super::partial::Partial;
use crate::error::{DownloadFault, HubError};
use crate::files::CHUNK;
use crate::progress::Progress;

/// Why an attempt brought no whole file.
pub(super) enum Failure {
    /// Another attempt would end the same way.
    Final(HubError),
    /// Another attempt may do better, after `wait` where the server asked for one.
    Passing { reason: String, wait: Option<Duration> },
}

impl From<HubError> for Failure {
    fn from(error: HubError) -> Failure {
        Failure::Final(error)
    }
}

/// Asks `url` for what is still missing of `part` and appends it. `Ok` where the server says that this was all.
pub(super) fn attempt(
    agent: &Agent,
    url: &str,
    part: &mut Partial,
    expect: &Expect,
    progress: &dyn Progress,
) -> Result<(), Failure> {
    if progress.cancelled() {
        return Err(HubError::Cancelled.into());
    }
    if part.bytes() > 0 && expect.bytes == Some(part.bytes()) {
        return Ok(());
    }
    let mut request = agent.get(url);
    if part.bytes() > 0 {
        request = request.header(header::RANGE, format!("bytes={}-", part.bytes()));
        if let Some(validator) = part.validator() {
            request = request.header(header::IF_RANGE, validator);
        }
    }
    let response = request.call().map_err(|error| failure(agent, url, &error))?;
    let (head, body) = response.into_parts();
    let total = match head.status {
        StatusCode::OK => {
            part.begin(url, validator(&head.headers))?;
            body.content_length()
        }
        StatusCode::PARTIAL_CONTENT => {
            let (start, total) = content_range(&head.headers).unwrap_or((None, None));
            if start != Some(part.bytes()) {
                return Err(anew(part, "the server sent another range than the one asked for"));
            }
            part.mark_resumed();
            total.or(body.content_length().map(|rest| part.bytes() + rest))
        }
        StatusCode::RANGE_NOT_SATISFIABLE => match content_range(&head.headers) {
            Some((None, Some(total))) if total == part.bytes() => return Ok(()),
            _ => return Err(anew(part, "the server has no more of this file than what is here")),
        },
        status => return Err(refusal(url, status, &head.headers)),
    };
    if let Some(total) = total
        && let Err(error) = expect.verify_length(url, total)
    {
        part.discard();
        return Err(error.into());
    }
    receive(url, body, total.or(expect.bytes), part, expect, progress)
}

/// Asks `url` for its first byte, and does not wait for more.
pub(super) fn first_byte(agent: &Agent, url: &str, limit: Duration) -> Result<(), Failure> {
    let request = agent.get(url).header(header::RANGE, "bytes=0-0");
    let request = request.config().timeout_global(Some(limit)).build();
    let response = request.call().map_err(|error| failure(agent, url, &error))?;
    match response.status() {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(()),
        status => Err(refusal(url, status, response.headers())),
    }
}

/// Appends the body to `part`, up to `total` bytes in all where that is known.
fn receive(
    url: &str,
    body: Body,
    total: Option<u64>,
    part: &mut Partial,
    expect: &Expect,
    progress: &dyn Progress,
) -> Result<(), Failure> {
    progress.start(&format!("downloading {}", part.name()), total, part.bytes());
    let mut reader = body.into_reader();
    let mut chunk = vec![0; CHUNK];
    loop {
        if progress.cancelled() {
            return Err(HubError::Cancelled.into());
        }
        let n = match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) => {
                return Err(Failure::Passing { reason: format!("the connection broke: {error}"), wait: None });
            }
        };
        part.append(&chunk[..n])?;
        progress.advance(n as u64);
        if part.bytes() > expect.limit() {
            let got = format!("more than {}", expect.limit());
            let error = HubError::WrongLength { what: url.into(), expected: expect.limit().to_string(), got };
            part.discard();
            return Err(error.into());
        }
    }
    match total {
        Some(total) if part.bytes() < total => {
            let reason = format!("the connection ended after {} of {total} bytes", part.bytes());
            Err(Failure::Passing { reason, wait: None })
        }
        _ => Ok(()),
    }
}

/// What an error before the response's body means.
fn failure(agent: &Agent, url: &str, error: &ureq::Error) -> Failure {
    match error {
        ureq::Error::TooManyRedirects => no(url, DownloadFault::TooManyRedirects(agent.config().max_redirects())),
        // A certificate that does not check out comes as invalid data.
        ureq::Error::Io(e) if e.kind() == ErrorKind::InvalidData => no(url, DownloadFault::Refused(e.to_string())),
        ureq::Error::Io(e) => Failure::Passing { reason: e.to_string(), wait: None },
        ureq::Error::Timeout(_) | ureq::Error::Protocol(_) | ureq::Error::ConnectionFailed => {
            Failure::Passing { reason: error.to_string(), wait: None }
        }
        _ => no(url, DownloadFault::Refused(error.to_string())),
    }
}

/// What a status means that brings no contents.
fn refusal(url: &str, status: StatusCode, headers: &HeaderMap) -> Failure {
    let fault = DownloadFault::Status { status: status.as_u16() };
    if is_passing(status) {
        return Failure::Passing { reason: fault.to_string(), wait: retry_after(headers) };
    }
    no(url, fault)
}

fn no(url: &str, fault: DownloadFault) -> Failure {
    Failure::Final(HubError::Download { url: url.into(), fault })
}

/// Forgets what has come so far, for the next attempt to begin with nothing.
fn anew(part: &mut Partial, reason: &str) -> Failure {
    match part.restart() {
        Ok(()) => Failure::Passing { reason: reason.into(), wait: None },
        Err(error) => Failure::Final(error),
    }
}

/// The statuses that another attempt may mend.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// What `If-Range` can be given later.
fn validator(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    text(header::ETAG).filter(|tag| !tag.starts_with("W/")).or_else(|| text(header::LAST_MODIFIED))
}

/// The first byte and the whole length in a `Content-Range`, each where it is stated.
fn content_range(headers: &HeaderMap) -> Option<(Option<u64>, Option<u64>)> {
    let value = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let start = range.split_once('-').and_then(|(start, _)| start.parse().ok());
    Some((start, total.parse().ok()))
}

/// The wait that the server asks for in seconds. A date is not read: the usual back-off then serves.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ureq::http::HeaderValue;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn content_ranges() {
        for (value, read) in [
            ("bytes 5-9/10", Some((Some(5), Some(10)))),
            ("bytes 5-9/*", Some((Some(5), None))),
            ("bytes */10", Some((None, Some(10)))),
            ("lines 5-9/10", None),
            ("bytes 5-9", None),
        ] {
            assert_eq!(content_range(&headers(header::CONTENT_RANGE, value)), read, "{value}");
        }
    }

    #[test]
    fn a_weak_tag_is_no_validator() {
        assert_eq!(validator(&headers(header::ETAG, "\"a\"")).as_deref(), Some("\"a\""));
        let mut both = headers(header::ETAG, "W/\"a\"");
        assert_eq!(validator(&both), None);
        both.insert(header::LAST_MODIFIED, HeaderValue::from_static("Tue, 01 Jul 2025 10:00:00 GMT"));
        assert_eq!(validator(&both).as_deref(), Some("Tue, 01 Jul 2025 10:00:00 GMT"));
    }
}
