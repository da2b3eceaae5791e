//! A name server whose records change while it runs, over UDP and TCP on one port; it can be silent, altogether or about IPv6, or say
//! over UDP that the answer does not fit.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// What programs that ask say that they take (RFC 9715).
const OVER_UDP: usize = 1232;
/// How often a thread looks whether it is over.
const LOOK: Duration = Duration::from_millis(50);

pub struct Dns {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    stopped: AtomicBool,
    silent: AtomicBool,
    silent_of_v6: AtomicBool,
    silent_of_addresses: AtomicBool,
    truncating: AtomicBool,
    /// By name, in small letters and without the final dot: time to live and records.
    records: Mutex<BTreeMap<String, Vec<(u32, RData)>>>,
    questions: AtomicUsize,
    over_tcp: AtomicUsize,
}

impl Dns {
    pub fn start() -> Self {
        Self::listening(Ipv4Addr::LOCALHOST, 0)
    }

    /// One that listens there; with port 0, at a port that is free.
    pub fn listening(ip: Ipv4Addr, port: u16) -> Self {
        let (udp, tcp) = (0..100)
            .find_map(|_| {
                let udp = UdpSocket::bind((ip, port)).ok()?;
                let tcp = TcpListener::bind(udp.local_addr().ok()?).ok()?;
                Some((udp, tcp))
            })
            .expect("a port is free for both");
        let address = udp.local_addr().expect("it is bound");
        udp.set_read_timeout(Some(LOOK)).expect("a socket");
        let state = Arc::new(State::default());
        let own = Arc::clone(&state);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !own.stopped.load(Ordering::Acquire) {
                let Ok((length, peer)) = udp.recv_from(&mut buffer) else {
                    continue;
                };
                if let Some(answer) = own.answer(&buffer[..length], true) {
                    // Whoever asked may be gone.
                    let _ = udp.send_to(&answer, peer);
                }
            }
        });
        let own = Arc::clone(&state);
        thread::spawn(move || {
            for stream in tcp.incoming().map_while(Result::ok) {
                if own.stopped.load(Ordering::Acquire) {
                    return;
                }
                let own = Arc::clone(&own);
                thread::spawn(move || own.converse(stream));
            }
        });
        Self { address, state }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The name has these addresses from now, or none.
    pub fn addresses(&self, name: &str, ttl: u32, addresses: &[IpAddr]) {
        let records = addresses.iter().map(|address| match address {
            IpAddr::V4(v4) => RData::A(A(*v4)),
            IpAddr::V6(v6) => RData::AAAA(AAAA(*v6)),
        });
        self.set(name, ttl, records.collect());
    }

    /// The name is another name for `target`.
    pub fn alias(&self, name: &str, ttl: u32, target: &str) {
        self.set(name, ttl, vec![RData::CNAME(CNAME(fqdn(target)))]);
    }

    /// The name has these services: priority, weight, port and target.
    pub fn services(&self, name: &str, ttl: u32, services: &[(u16, u16, u16, &str)]) {
        let records = services
            .iter()
            .map(|(priority, weight, port, target)| {
                RData::SRV(SRV::new(*priority, *weight, *port, fqdn(target)))
            })
            .collect();
        self.set(name, ttl, records);
    }

    fn set(&self, name: &str, ttl: u32, records: Vec<RData>) {
        let records = records.into_iter().map(|record| (ttl, record)).collect();
        let mut all = self.state.records.lock().unwrap();
        all.insert(name.to_owned(), records);
    }

    /// Answers nothing any more, or again.
    pub fn silence(&self, silent: bool) {
        self.state.silent.store(silent, Ordering::Release);
    }

    /// Drops questions for addresses of IPv6, or answers them again.
    pub fn silence_v6(&self, silent: bool) {
        self.state.silent_of_v6.store(silent, Ordering::Release);
    }

    /// Drops questions for addresses, or answers them again.
    pub fn silence_addresses(&self, silent: bool) {
        let flag = &self.state.silent_of_addresses;
        flag.store(silent, Ordering::Release);
    }

    /// Says over UDP that answers do not fit.
    pub fn truncate(&self) {
        self.state.truncating.store(true, Ordering::Release);
    }

    /// How many questions have come.
    pub fn questions(&self) -> usize {
        self.state.questions.load(Ordering::Acquire)
    }

    /// How many of them over TCP.
    pub fn over_tcp(&self) -> usize {
        self.state.over_tcp.load(Ordering::Acquire)
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::Release);
        // Wakes the listener, which then sees that it is over.
        drop(TcpStream::connect(self.address));
    }
}

impl State {
    fn answer(&self, question: &[u8], over_udp: bool) -> Option<Vec<u8>> {
        self.questions.fetch_add(1, Ordering::AcqRel);
        if self.silent.load(Ordering::Acquire) {
            return None;
        }
        let question = Message::from_vec(question).ok()?;
        let query = question.queries.first()?.clone();
        let is_v6 = query.query_type() == RecordType::AAAA;
        if is_v6 && self.silent_of_v6.load(Ordering::Acquire) {
            return None;
        }
        let is_address = is_v6 || query.query_type() == RecordType::A;
        if is_address && self.silent_of_addresses.load(Ordering::Acquire) {
            return None;
        }
        let mut response = Message::response(question.metadata.id, question.metadata.op_code);
        response.metadata.recursion_available = true;
        response.add_query(query.clone());
        if over_udp && self.truncating.load(Ordering::Acquire) {
            response.metadata.truncation = true;
            return response.to_vec().ok();
        }
        let records = self.records.lock().unwrap();
        let mut name = query.name().clone();
        let mut found = false;
        while let Some(known) = records.get(&key(&name)) {
            found = true;
            let fits = |data: &RData| data.record_type() == query.query_type();
            let alias = |data: &RData| data.record_type() == RecordType::CNAME;
            for (ttl, data) in known.iter().filter(|(_, data)| fits(data) || alias(data)) {
                response.add_answer(Record::from_rdata(name.clone(), *ttl, data.clone()));
            }
            let next = known.iter().find_map(|(_, data)| {
                let RData::CNAME(target) = data else {
                    return None;
                };
                Some(target.0.clone())
            });
            let Some(next) = next else { break };
            name = next;
        }
        if !found {
            response.metadata.response_code = ResponseCode::NXDomain;
        }
        let whole = response.to_vec().ok()?;
        if over_udp && whole.len() > OVER_UDP {
            response.answers.clear();
            response.metadata.truncation = true;
            return response.to_vec().ok();
        }
        Some(whole)
    }

    /// RFC 1035 §4.2.2: a length before each message.
    fn converse(&self, mut stream: TcpStream) -> Option<()> {
        loop {
            let mut length = [0; 2];
            stream.read_exact(&mut length).ok()?;
            let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut question).ok()?;
            self.over_tcp.fetch_add(1, Ordering::AcqRel);
            let answer = self.answer(&question, false)?;
            let length = u16::try_from(answer.len()).ok()?.to_be_bytes();
            stream.write_all(&[&length[..], &answer].concat()).ok()?;
        }
    }
}

fn key(name: &Name) -> String {
    let text = name.to_utf8().to_ascii_lowercase();
    text.trim_end_matches('.').to_owned()
}

fn fqdn(name: &str) -> Name {
    let mut name = Name::from_utf8(name).expect("a name");
    name.set_fqdn(true);
    name
}
