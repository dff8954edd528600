//! A pod that echoes on every port, for whoever forwards over a WebSocket, in blocking code:
//!
//! ```text
//! cargo run -p nsplice-websocket --example echo -- 127.0.0.1:8001
//! kubectl --server http://127.0.0.1:8001 port-forward pod/echo 7000
//! ```
//!
//! That is kubectl from 1.31 on, which tunnels SPDY; and the clients for Python, JavaScript and Rust,
//! which use channels. It answers the questions that they ask before they forward.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use nsplice_spdy::{Connection, Limits, StreamId};
use nsplice_websocket::{
    accept, is_asked_for, Accepted, ChannelEvent, Channels, Coding, Event, Ports, Protocol, Socket,
    State, Takes, MOST_PORTS,
};

const POD: &str = r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"echo","namespace":"default"},"spec":{"containers":[{"name":"echo","image":"echo"}]},"status":{"phase":"Running"}}"#;
const API: &str = r#"{"kind":"APIVersions","versions":["v1"]}"#;
const GROUPS: &str = r#"{"kind":"APIGroupList","apiVersion":"v1","groups":[]}"#;
const RESOURCES: &str = r#"{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"pods","singularName":"pod","namespaced":true,"kind":"Pod","verbs":["get"]}]}"#;
const VERSION: &str = r#"{"major":"1","minor":"33","gitVersion":"v1.33.0"}"#;

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8001".to_owned());
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    for client in listener.incoming() {
        let client = client?;
        std::thread::spawn(move || match serve(client) {
            Ok(()) => println!("a session has ended"),
            Err(error) => println!("a client is gone: {error}"),
        });
    }
    Ok(())
}

/// Answers requests until one of them is for a WebSocket, and that one.
fn serve(mut client: TcpStream) -> io::Result<()> {
    loop {
        let head = read_head(&mut client)?;
        let mut lines = head.lines();
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let headers: Vec<_> = lines.filter_map(|line| line.split_once(':')).collect();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (status, body): (u16, String) = match path.trim_end_matches('/') {
            "/api" => (200, API.to_owned()),
            "/apis" => (200, GROUPS.to_owned()),
            "/api/v1" => (200, RESOURCES.to_owned()),
            "/version" => (200, VERSION.to_owned()),
            "/api/v1/namespaces/default/pods/echo" => (200, POD.to_owned()),
            "/api/v1/namespaces/default/pods" => {
                (200, format!(r#"{{"kind":"PodList","apiVersion":"v1","items":[{POD}]}}"#))
            }
            _ if is_asked_for(&headers) => match Upgrade::read(method, query, &headers) {
                Ok(upgrade) => {
                    println!("{target}: {:?}", upgrade.accepted.protocol);
                    return upgrade.run(client);
                }
                Err((status, why)) => (status, why),
            },
            _ => (404, "{}".to_owned()),
        };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} .\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        client.write_all(&[head.as_bytes(), body.as_bytes()].concat())?;
    }
}

/// A request to forward that is accepted.
struct Upgrade {
    accepted: Accepted,
    /// None for the tunnel, in which each connection says its port.
    ports: Option<(Ports, Coding)>,
}

impl Upgrade {
    /// Decides about a request; answers the status of a refusal, and why it is refused.
    fn read(method: &str, query: &str, headers: &[(&str, &str)]) -> Result<Self, (u16, String)> {
        let accepted = accept(method, headers).map_err(|it| (it.status(), it.to_string()))?;
        let ports = match accepted.protocol {
            Protocol::Tunnel => None,
            Protocol::Channels(coding) => {
                let ports = Ports::in_query(query, "ports", MOST_PORTS);
                Some((ports.map_err(|it| (400, it.to_string()))?, coding))
            }
        };
        Ok(Self { accepted, ports })
    }

    fn run(self, mut client: TcpStream) -> io::Result<()> {
        client.write_all(&self.accepted.head)?;
        match self.ports {
            None => tunnel(client),
            Some((ports, coding)) => channels(client, &ports, coding),
        }
    }
}

/// A head, read byte by byte: what follows it is no HTTP.
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

/// Echoes on each channel.
fn channels(mut client: TcpStream, ports: &Ports, coding: Coding) -> io::Result<()> {
    let mut channels = Channels::server(ports, coding);
    let mut buffer = [0; 64 * 1024];
    loop {
        client.write_all(channels.output())?;
        channels.output().clear();
        let read = client.read(&mut buffer)?;
        if read == 0 || channels.state() == State::Closed {
            return Ok(());
        }
        if let Err(error) = echo_channels(&mut channels, &mut buffer[..read]) {
            // What is wrong, for the client.
            client.write_all(channels.output())?;
            return Err(error);
        }
    }
}

fn echo_channels(channels: &mut Channels, mut input: &mut [u8]) -> io::Result<()> {
    while let Some(event) = channels.read(&mut input).map_err(io::Error::other)? {
        match event {
            ChannelEvent::Data { channel, bytes } => {
                channels.send(channel, bytes).map_err(io::Error::other)?;
            }
            other => println!("{other:?}"),
        }
    }
    Ok(())
}

/// Echoes on each data stream of the SPDY connection that is in the tunnel.
fn tunnel(mut client: TcpStream) -> io::Result<()> {
    let (mut socket, mut echo) = (Socket::server(Takes::Binary), Echo::new());
    let mut buffer = [0; 64 * 1024];
    loop {
        if !echo.connection.output().is_empty() {
            socket.send(echo.connection.output()).map_err(io::Error::other)?;
            echo.connection.output().clear();
        }
        client.write_all(socket.output())?;
        socket.output().clear();
        let read = client.read(&mut buffer)?;
        if read == 0 || socket.state() == State::Closed {
            return Ok(());
        }
        if let Err(error) = echo_tunnel(&mut socket, &mut echo, &mut buffer[..read]) {
            client.write_all(socket.output())?;
            return Err(error);
        }
    }
}

fn echo_tunnel(socket: &mut Socket, echo: &mut Echo, mut input: &mut [u8]) -> io::Result<()> {
    while let Some(event) = socket.read(&mut input).map_err(io::Error::other)? {
        match event {
            Event::Data { bytes, .. } => echo.take(bytes)?,
            other => println!("{other:?}"),
        }
    }
    Ok(())
}

/// Echoes on each data stream, and ends the error stream of the same connection with it.
struct Echo {
    connection: Connection,
    errors: HashMap<String, StreamId>,
    data: HashMap<StreamId, Option<StreamId>>,
}

impl Echo {
    fn new() -> Self {
        let connection = Connection::server(Limits::default());
        Self { connection, errors: HashMap::new(), data: HashMap::new() }
    }

    fn take(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let Some(event) = self.connection.read(&mut bytes).map_err(io::Error::other)? {
            match event {
                nsplice_spdy::Event::Opened { stream, headers, .. } => {
                    let request = headers.get("requestid").unwrap_or_default().to_owned();
                    if headers.get("streamtype") == Some("error") {
                        self.errors.insert(request, stream);
                    } else {
                        self.data.insert(stream, self.errors.remove(&request));
                    }
                    self.connection.reply(stream, &[], false).map_err(io::Error::other)?;
                }
                nsplice_spdy::Event::Data { stream, bytes, fin } => {
                    let Some(error) = self.data.get(&stream).copied() else { continue };
                    self.connection.send(stream, bytes, fin).map_err(io::Error::other)?;
                    if let (true, Some(error)) = (fin, error) {
                        self.connection.send(error, b"", true).map_err(io::Error::other)?;
                    }
                }
                nsplice_spdy::Event::Reset { stream, .. } => drop(self.data.remove(&stream)),
                other => println!("{other:?}"),
            }
        }
        Ok(())
    }
}
