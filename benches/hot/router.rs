//! One route among many: how far a lookup goes depends on the host, so all of them are asked for, one after the other.

use std::fmt::Write as _;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use openclaw_core::config::{self, NoFiles, Source};
use openclaw_core::message::h1::parse_request;
use openclaw_core::message::{Fields, Kind, Request, authority, path};
use openclaw_core::route::{self, Router};

use crate::heads;

const ROUTES: usize = 300;

#[derive(Clone)]
struct Seen {
    request: Request<'static>,
    path: &'static [u8],
}

impl route::Request for Seen {
    fn host(&self) -> &[u8] {
        authority::host(self.request.authority)
    }

    fn path(&self) -> &[u8] {
        self.path
    }

    fn query(&self) -> &[u8] {
        self.request.query()
    }

    fn method(&self) -> &[u8] {
        self.request.method
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.request.field(name.as_bytes())
    }

    fn cookies(&self) -> impl Iterator<Item = &[u8]> {
        let fields = self.request.fields.iter();
        fields
            .filter(|field| field.kind == Kind::Cookie)
            .map(|field| field.value)
    }

    fn client(&self) -> IpAddr {
        Ipv4Addr::new(198, 51, 100, 7).into()
    }

    fn scheme(&self) -> &'static str {
        "https"
    }
}

pub(crate) fn find() -> Box<dyn FnMut()> {
    let mut text = String::from(
        "[listener.web]\nbind = [\"127.0.0.1:8080\"]\n[upstream.app]\nendpoints = [\"127.0.0.1:9000\"]\n",
    );
    for number in 0..ROUTES {
        writeln!(
            text,
            "[[route]]\nname = \"r{number}\"\nmatch = {{ host = \"shop-{number}.example.com\", path = \"/products/chairs\" }}\nto = \"app\""
        )
        .unwrap();
    }
    let loaded = config::load(&Source {
        name: "hot.toml",
        text: &text,
        files: &NoFiles,
        variable: &|_| None,
    });
    let router = Router::new(&loaded.unwrap().config.routes);
    let fields: &'static mut Fields<'static> = Box::leak(Box::default());
    let (request, _) = parse_request(heads::REQUEST, heads::REQUEST.len(), fields)
        .unwrap()
        .unwrap();
    let path: &'static mut Vec<u8> = Box::leak(Box::default());
    let path = path::normalised(request.path(), path);
    let seen: Vec<Seen> = (0..ROUTES)
        .map(|number| {
            let authority = format!("shop-{number}.example.com").into_bytes();
            let request = Request {
                authority: authority.leak(),
                ..request
            };
            Seen { request, path }
        })
        .collect();
    for (number, seen) in seen.iter().enumerate() {
        assert_eq!(router.find(seen), Some(number));
    }
    let mut next = seen.into_iter().cycle();
    Box::new(move || {
        black_box(router.find(black_box(&next.next().unwrap())));
    })
}
