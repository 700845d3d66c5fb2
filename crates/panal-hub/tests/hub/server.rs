//! An HTTP/1.1 server on 127.0.0.1 that misbehaves as told. Tests nothing itself.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The path, or what stands in its place.
    pub(crate) path: String,
    /// Lower-case names.
    pub(crate) headers: Vec<(String, String)>,
    /// 0 for the server's first request.
    pub(crate) number: usize,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The `N` of `Range: bytes=N-`.
    pub(crate) fn range_start(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// What is sent back, and where it ends.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    stated_length: Option<usize>,
    ending: Ending,
}

#[derive(Debug, Clone, Copy)]
enum Ending {
    Whole,
    /// The connection is closed after so many bytes of the body.
    Cut(usize),
    /// Nothing more comes after so many bytes of the body, and the connection stays.
    Stall(usize),
    /// The connection stays, and not even the head comes.
    Silence,
}

impl Reply {
    pub(crate) fn new(status: u16, body: &[u8]) -> Reply {
        let stated_length = Some(body.len());
        Reply { status, headers: Vec::new(), body: body.to_vec(), stated_length, ending: Ending::Whole }
    }

    pub(crate) fn ok(body: &[u8]) -> Reply {
        Reply::new(200, body)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Reply {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn state_length(mut self, length: Option<usize>) -> Reply {
        self.stated_length = length;
        self
    }

    pub(crate) fn cut(mut self, after: usize) -> Reply {
        self.ending = Ending::Cut(after);
        self
    }

    pub(crate) fn stall(mut self, after: usize) -> Reply {
        self.ending = Ending::Stall(after);
        self
    }

    pub(crate) fn silence(mut self) -> Reply {
        self.ending = Ending::Silence;
        self
    }

    /// What a good server sends for `body`: the range that is asked for, unless `If-Range` names another file.
    pub(crate) fn file(request: &Request, body: &[u8], etag: Option<&str>) -> Reply {
        let same = request.header("if-range").is_none_or(|tag| Some(tag) == etag);
        let reply = match request.range_start() {
            Some(start) if same && start >= body.len() => {
                Reply::new(416, b"").header("Content-Range", &format!("bytes */{}", body.len()))
            }
            Some(start) if same => Reply::new(206, &body[start..])
                .header("Content-Range", &format!("bytes {start}-{}/{}", body.len() - 1, body.len())),
            _ => Reply::ok(body),
        };
        match etag {
            Some(tag) => reply.header("ETag", tag),
            None => reply,
        }
    }
}

/// A running server; its thread ends with the test process.
pub(crate) struct Server {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers every request with `answer`.
    pub(crate) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&requests), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                thread::spawn(move || serve(&stream, &seen, &*answer));
            }
        });
        Server { address, requests }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

fn serve(mut stream: &TcpStream, seen: &Mutex<Vec<Request>>, answer: &(dyn Fn(&Request) -> Reply + Send + Sync)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read_request(&mut reader, seen) {
        // The tunnel that a client asks a proxy for; what comes through it is answered as if it had reached its target.
        if request.path.contains(":80") {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            continue;
        }
        // A client that goes away early is none of the server's business.
        let _ = send(stream, &answer(&request));
        return;
    }
}

fn read_request(reader: &mut impl BufRead, seen: &Mutex<Vec<Request>>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let mut seen = seen.lock().unwrap();
    let request = Request { path, headers, number: seen.len() };
    seen.push(request.clone());
    Some(request)
}

fn send(mut stream: &TcpStream, reply: &Reply) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Whatever\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    if let Some(length) = reply.stated_length {
        head += &format!("Content-Length: {length}\r\n");
    }
    let stall = || thread::sleep(Duration::from_secs(60));
    let sent = match reply.ending {
        Ending::Silence => {
            stall();
            return Ok(());
        }
        Ending::Whole => reply.body.len(),
        Ending::Cut(after) | Ending::Stall(after) => after,
    };
    stream.write_all((head + "\r\n").as_bytes())?;
    stream.write_all(&reply.body[..sent])?;
    if let Ending::Stall(_) = reply.ending {
        stall();
    }
    Ok(())
}
