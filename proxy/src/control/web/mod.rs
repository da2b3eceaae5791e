//! The page for browsers: what `openclaw top` shows, on a TCP address, and the few orders that whoever knows the token may give. The
//! page is part of the program and asks nobody else for anything; what it asks here is answered by the admin API.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Method, Request};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::admin::table::{self, Call};
use super::admin::{self, SMALL};
use super::http::{self, Answer, Field};
use super::slots::{Slot, Slots};
use super::state::Control;
use super::top;

pub(super) use self::guard::read_token;
use self::guard::{Known, NotLetIn};
use self::news::News;
use self::order::Order;

mod assets;
mod guard;
mod news;
mod order;

/// On every answer. Scripts and styles are files of ours, and nobody shows the page inside his own.
const FIELDS: &[Field] = &[
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'; require-trusted-types-for 'script'",
    ),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
];

/// How long one with a wrong token waits for his answer. He keeps nobody from being served meanwhile: his place is among the first to be
/// given up.
const GUESS_EVERY: Duration = Duration::from_millis(500);

/// What lives as long as the address is served.
struct Page {
    /// Only this machine reaches the address, so reading needs no token.
    is_local: bool,
    news: News,
}

/// Who asks, and what he may.
struct Asker {
    is_operator: bool,
    may_read: bool,
    peer: SocketAddr,
}

/// Answers browsers for as long as they are this process's.
pub(super) async fn serve(control: Rc<Control>, listener: TcpListener) {
    // Without an address of its own it is not known to be this machine's.
    let address = listener.local_addr().ok();
    let page = Rc::new(Page {
        is_local: address.is_some_and(|address| address.ip().to_canonical().is_loopback()),
        news: News::default(),
    });
    let next = async || listener.accept().await;
    let calls = Slots::default();
    let calls = http::accept_all(
        "the page",
        &control,
        &calls,
        next,
        |(stream, peer), slot| {
            let (control, page) = (Rc::clone(&control), Rc::clone(&page));
            http::spawn(stream, slot, move |request, slot| {
                answer(Rc::clone(&control), Rc::clone(&page), request, slot, peer)
            });
        },
    );
    tokio::select! {
        biased;
        () = page.news.rest() => {}
        () = calls => {}
    }
}

async fn answer(
    control: Rc<Control>,
    page: Rc<Page>,
    request: Request<Incoming>,
    slot: Rc<Slot>,
    peer: SocketAddr,
) -> Answer {
    let answer = respond(control, &page, request, &slot, peer).await;
    answer.unwrap_or_else(|refusal| refusal).with(FIELDS)
}

/// Both ways it is an answer.
async fn respond(
    control: Rc<Control>,
    page: &Page,
    request: Request<Incoming>,
    slot: &Slot,
    peer: SocketAddr,
) -> Result<Answer, Answer> {
    let (head, body) = request.into_parts();
    let admin = control.snapshot().config.admin.clone();
    guard::host(&head, &admin.web_names).map_err(|why| Answer::error(403, why))?;
    let is_read = head.method == Method::GET || head.method == Method::HEAD;
    if let Some(asset) = assets::find(head.uri.path()) {
        slot.working();
        return if is_read {
            Ok(Answer::fixed(200, asset.content_type, asset.text))
        } else {
            Err(not_allowed("GET, HEAD"))
        };
    }
    let known = match guard::known(&head.headers, admin.token.as_ref()) {
        Ok(known) => known,
        Err(NotLetIn::Wrong) => {
            sleep(GUESS_EVERY).await;
            let facts = json!({ "peer": peer.to_string(), "path": head.uri.path() });
            control.tell_security("wrong_token", facts);
            return Err(unauthorised("this is not the token"));
        }
        Err(NotLetIn::Unreadable(error)) => {
            tracing::error!(%error, "the token of the page cannot be read");
            return Err(Answer::error(503, "the token cannot be read now"));
        }
    };
    let asker = Asker {
        is_operator: known == Known::Operator,
        // Only this machine can ask, or one who knows the token.
        may_read: known == Known::Operator || page.is_local,
        peer,
    };
    called(control, page, (head, body), slot, &asker).await
}

/// What the script of the page asks for.
async fn called(
    control: Rc<Control>,
    page: &Page,
    (head, body): (Parts, Incoming),
    slot: &Slot,
    asker: &Asker,
) -> Result<Answer, Answer> {
    let is_read = head.method == Method::GET || head.method == Method::HEAD;
    let path = head.uri.path();
    let has_token = control.snapshot().config.admin.token.is_some();
    match path {
        "/api/top" | "/api/bans" | "/api/access" if !is_read => Err(not_allowed("GET, HEAD")),
        "/api/top" | "/api/bans" | "/api/access" if !asker.may_read => {
            Err(unauthorised("reading needs the token here"))
        }
        "/api/top" => {
            slot.working();
            Ok(Answer::json(200, &top::sample(&control).await))
        }
        "/api/bans" => {
            slot.working();
            let after = news::after(head.uri.query().unwrap_or_default());
            Ok(Answer::json(200, &page.news.since(&control, after).await))
        }
        "/api/access" => {
            slot.working();
            let access = json!({ "changes": has_token, "known": asker.is_operator });
            Ok(Answer::json(200, &access))
        }
        "/api/change" if head.method != Method::POST => Err(not_allowed("POST")),
        "/api/change" if !has_token => {
            let why = "this page only shows: no `admin.token` is set";
            Err(Answer::error(403, why))
        }
        "/api/change" if !asker.is_operator => Err(unauthorised("changes need the token")),
        "/api/change" => {
            let body = admin::read(body, SMALL).await?;
            slot.working();
            let order = Order::read(&head.headers, &body)?;
            carry_out(control, &order, asker.peer).await
        }
        path => Err(Answer::error(404, &format!("there is no {path}"))),
    }
}

/// As the admin API does it, with its words in the security log.
async fn carry_out(
    control: Rc<Control>,
    order: &Order,
    peer: SocketAddr,
) -> Result<Answer, Answer> {
    let (path, query, body) = order.call();
    let absent = || Answer::error(404, "this version does not know that order");
    let route = table::find("POST", path).ok_or_else(absent)?;
    let call = Call {
        path: path.to_owned(),
        query,
        body,
        uid: None,
        pid: None,
        peer: Some(peer),
    };
    tracing::info!(%peer, path, "an order came by the page");
    Ok(admin::run(control, route, call).await)
}

fn not_allowed(methods: &'static str) -> Answer {
    Answer::error(405, "not with this method").with(&[("allow", methods)])
}

fn unauthorised(why: &str) -> Answer {
    let field = ("www-authenticate", "Bearer realm=\"openclaw\"");
    Answer::error(401, why).with(&[field])
}
