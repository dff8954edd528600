//! A pod that echoes, for a real `kubectl port-forward`, in blocking code:
//!
//! ```text
//! cargo run -p nsplice-spdy --example echo -- 127.0.0.1:8001
//! kubectl --server http://127.0.0.1:8001 port-forward pod/echo 7000
//! ```
//!
//! Whoever connects to port 7000 then gets back what they send. It answers the four questions that
//! kubectl asks before it forwards, and takes everything else for a request to upgrade to SPDY.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use nsplice_spdy::{Connection, Event, Limits, StreamId};

const POD: &str = r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"echo","namespace":"default"},"spec":{"containers":[{"name":"echo","image":"echo"}]},"status":{"phase":"Running"}}"#;
const API: &str = r#"{"kind":"APIVersions","versions":["v1"]}"#;
const GROUPS: &str = r#"{"kind":"APIGroupList","apiVersion":"v1","groups":[]}"#;
const RESOURCES: &str = r#"{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"pods","singularName":"pod","namespaced":true,"kind":"Pod","verbs":["get"]}]}"#;

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8001".to_owned());
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    for client in listener.incoming() {
        let client = client?;
        std::thread::spawn(move || {
            if let Err(error) = serve(client) {
                eprintln!("a client is gone: {error}");
            }
        });
    }
    Ok(())
}

/// Answers requests until one of them is to upgrade.
fn serve(mut client: TcpStream) -> io::Result<()> {
    loop {
        let head = read_head(&mut client)?;
        let path = head.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default();
        let body = match path {
            "/api" => API,
            "/apis" => GROUPS,
            "/api/v1" => RESOURCES,
            "/api/v1/namespaces/default/pods/echo" => POD,
            _ if head.to_ascii_lowercase().contains("upgrade: spdy/3.1") => break,
            _ => "{}",
        };
        let status = if body == "{}" { "404 Not Found" } else { "200 OK" };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        client.write_all(&[head.as_bytes(), body.as_bytes()].concat())?;
    }
    client.write_all(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\
          X-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n",
    )?;
    echo(client)
}

/// A head, read byte by byte: what follows it is SPDY.
fn read_head(client: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.extend_from_slice(&byte);
        if head.len() > 16 * 1024 {
            return Err(io::Error::other("a head that does not end"));
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Echoes on each data stream, and ends the error stream of the same connection with it.
fn echo(mut client: TcpStream) -> io::Result<()> {
    let mut connection = Connection::server(Limits::default());
    let mut errors: HashMap<String, StreamId> = HashMap::new();
    let mut data: HashMap<StreamId, Option<StreamId>> = HashMap::new();
    let mut buffer = [0; 64 * 1024];
    loop {
        let read = client.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        let mut bytes = &buffer[..read];
        while let Some(event) = connection.read(&mut bytes).map_err(io::Error::other)? {
            match event {
                Event::Opened { stream, headers, .. } => {
                    let request = headers.get("requestid").unwrap_or_default().to_owned();
                    if headers.get("streamtype") == Some("error") {
                        errors.insert(request, stream);
                    } else {
                        data.insert(stream, errors.remove(&request));
                    }
                    connection.reply(stream, &[], false).map_err(io::Error::other)?;
                }
                Event::Data { stream, bytes, fin } => {
                    let Some(error) = data.get(&stream).copied() else { continue };
                    connection.send(stream, bytes, fin).map_err(io::Error::other)?;
                    if let (true, Some(error)) = (fin, error) {
                        connection.send(error, b"", true).map_err(io::Error::other)?;
                    }
                }
                Event::Reset { stream, .. } => drop(data.remove(&stream)),
                other => println!("{other:?}"),
            }
        }
        client.write_all(connection.output())?;
        connection.output().clear();
    }
}
