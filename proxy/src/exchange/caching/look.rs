//! What the store has for a request, while the request's fields are still where the wire put them.

use std::sync::Arc;
use std::time::Instant;

use openclaw_core::caching::slices::Version;
use openclaw_core::caching::{
    self, Answer, Asked, Directives, Forwarded, Query, Rule, Status, Use, changes_its_meaning,
    is_condition,
};
use openclaw_core::message::{Field, Fields, Framing, HeaderList, Method, Request};

use crate::cache::{self, Found, Key, Object, Reader, Store};
use crate::exchange::prepare::Outbound;
use crate::snapshot::Snapshot;

/// What the cache has to do with a request.
#[derive(Debug)]
pub(in crate::exchange) enum Look {
    /// It is answered from the store; where that is stale, somebody has to ask for it again behind the answer (RFC 5861 §3).
    Stored(Stored, Option<Box<Asking>>),
    /// It goes to its origin.
    Asking(Box<Asking>),
    /// It wants nothing but what is stored, and that is nothing (RFC 9111 §5.2.1.7).
    OnlyStored,
}

/// A stored response, and how it is sent.
#[derive(Debug)]
pub(in crate::exchange) struct Stored {
    pub object: Arc<Object>,
    pub answer: Answer,
    pub status: Status,
    /// Who reads it, where it is not whole.
    pub reader: Option<Reader>,
}

/// A request that goes to its origin, and what the cache does with the response.
#[derive(Debug)]
pub(in crate::exchange) struct Asking {
    pub store: Arc<Store>,
    pub key: Key,
    /// When the store was looked into.
    pub looked: Instant,
    pub purpose: Purpose,
    /// What may be there in place of that.
    pub lying: Option<Lying>,
    /// How it is asked for in slices, where it is: without the client's range.
    pub in_slices: Option<Box<Outbound>>,
    /// It asks for one of them itself.
    pub slice: Option<Slice>,
}

/// One of the parts in which something large is stored.
#[derive(Clone, Debug)]
pub(in crate::exchange) struct Slice {
    pub size: u64,
    pub number: u64,
    /// What it has to be a part of, if that is known.
    pub version: Option<Version>,
}

impl Slice {
    pub(super) fn key(&self, uri: &str) -> Key {
        cache::slice(uri, self.size, self.number)
    }
}

/// Something on the disk, which has to be read before anything can be said of it.
#[derive(Debug)]
pub(in crate::exchange) struct Lying {
    pub file: u64,
    pub method: Method,
    /// What the client says of its age, as far as it is heard.
    pub heard: Directives,
    /// The client's.
    pub fields: HeaderList,
}

#[derive(Debug)]
pub(in crate::exchange) enum Purpose {
    /// To store it.
    Store(Wish),
    /// To forget what these routes have stored of it, where it changes the resource (RFC 9111 §4.4).
    Forget(Arc<Snapshot>),
    /// Nothing: responses to such a request are not stored.
    Pass(Forwarded),
}

/// What was asked, for when the response comes or has to be looked for again.
#[derive(Clone, Debug)]
pub(in crate::exchange) struct Wish {
    pub asked: Asked,
    pub why: Forwarded,
    /// What is stored and is to be confirmed.
    pub stale: Option<Arc<Object>>,
    /// That may be the answer where the origin fails.
    pub if_error: bool,
    /// The client's.
    pub fields: HeaderList,
}

impl Asking {
    /// What the cache made of a request that no origin has answered.
    pub(in crate::exchange) fn unanswered(&self) -> Option<Status> {
        let why = match &self.purpose {
            Purpose::Store(wish) => wish.why,
            Purpose::Pass(why) => *why,
            Purpose::Forget(_) => return None,
        };
        Some(Status::Forwarded {
            why,
            confirmed: false,
            stored: None,
        })
    }

    /// What is stored and is to be confirmed.
    pub(in crate::exchange) fn stale(&self) -> Option<&Arc<Object>> {
        match &self.purpose {
            Purpose::Store(wish) => wish.stale.as_ref(),
            Purpose::Forget(_) | Purpose::Pass(_) => None,
        }
    }

    /// What another one has fetched between the look into the store and the turn to fetch, into memory or onto the disk alone.
    pub(super) async fn come_since(&self, rule: &Rule) -> Option<Arc<Object>> {
        let Purpose::Store(wish) = &self.purpose else {
            return None;
        };
        // What its client has doubts about is fresh as well.
        if wish.why == Forwarded::Request {
            return None;
        }
        let found = {
            let client = view(&wish.fields);
            match self.store.find(&self.key, &rule.owner, &client) {
                Found::Object(object) => Ok(object),
                Found::OtherVariant | Found::Nothing => {
                    let of = (&*self.key, &*rule.owner);
                    Err(self.store.newer_on_disk(of, &client, self.looked))
                }
            }
        };
        let object = match found {
            Ok(object) => object,
            Err(file) => self.store.load(&self.key, file?).await?,
        };
        let judged = object.judge(Instant::now(), &Directives::default());
        (judged == Use::Fresh).then_some(object)
    }
}

impl Wish {
    /// Whether what an origin answers may be for nobody else: a part, or that the client has it, or nothing that may be stored.
    pub(super) fn is_special(&self) -> bool {
        // Where something is stale its origin is asked about that, whatever the client has.
        let has_condition = self.stale.is_none() && view(&self.fields).iter().any(is_condition);
        self.asked.no_store || has_condition
    }

    fn new(
        request: &Request<'_>,
        no_store: bool,
        (stale, why, if_error): (Option<Arc<Object>>, Forwarded, bool),
    ) -> Self {
        Self {
            asked: Asked {
                has_credentials: request.field(b"Authorization").is_some(),
                no_store,
            },
            why,
            stale,
            if_error,
            fields: list(request.fields),
        }
    }
}

/// Looks a request up. `None`: the cache has nothing to do with it.
pub(in crate::exchange) fn look(
    store: &Arc<Store>,
    rule: &Rule,
    request: &Request<'_>,
    scheme: &str,
    now: Instant,
) -> Option<Look> {
    let key = key(scheme, &rule.query, request)?;
    let asking = |purpose| {
        Box::new(Asking {
            store: Arc::clone(store),
            key: Arc::clone(&key),
            looked: now,
            purpose,
            lying: None,
            in_slices: None,
            slice: None,
        })
    };
    let method = Method::of(request.method);
    if let Some(purpose) = beside_the_store(rule, method, request) {
        return Some(Look::Asking(asking(purpose)));
    }
    let said = Directives::of_request(request.fields);
    let heard = heard(rule, said);
    let wish = |judged| Purpose::Store(Wish::new(request, said.no_store, judged));
    let judged = match store.find(&key, &rule.owner, request.fields) {
        Found::Object(object) => match object.judge(now, &heard) {
            Use::Fresh => {
                return Some(Look::Stored(
                    stored(object, (method, request.fields), now),
                    None,
                ));
            }
            Use::WhileRevalidating => {
                let again = (Some(Arc::clone(&object)), Forwarded::Stale, false);
                // What answers a HEAD alone is not stored.
                let again = (method == Method::Get).then(|| asking(wish(again)));
                let stored = stored(object, (method, request.fields), now);
                return Some(Look::Stored(stored, again));
            }
            Use::Ask { if_error } => {
                let why = doubt(&object, now);
                (Some(object), why, if_error)
            }
        },
        Found::OtherVariant => (None, Forwarded::VaryMiss, false),
        Found::Nothing => (None, Forwarded::UriMiss, false),
    };
    let file = match &judged {
        (Some(_), ..) => None,
        (None, ..) => store.on_disk(&key, &rule.owner, request.fields),
    };
    if heard.only_if_cached && file.is_none() {
        return Some(Look::OnlyStored);
    }
    let purpose = if method == Method::Head {
        Purpose::Pass(Forwarded::Method)
    } else {
        wish(judged)
    };
    let mut asking = asking(purpose);
    asking.lying = file.map(|file| Lying {
        file,
        method,
        heard,
        fields: list(request.fields),
    });
    Some(Look::Asking(asking))
}

/// Why the origin is asked about what is stored.
pub(super) fn doubt(object: &Object, now: Instant) -> Forwarded {
    match object.age(now) {
        (_, ..=0) => Forwarded::Stale,
        _ => Forwarded::Request,
    }
}

fn heard(rule: &Rule, said: Directives) -> Directives {
    if rule.obeys_requests {
        said
    } else {
        Directives::default()
    }
}

/// What there is to do for a request that nothing is stored for; none for one that may be answered from the store.
fn beside_the_store(rule: &Rule, method: Method, request: &Request<'_>) -> Option<Purpose> {
    match method {
        Method::Get | Method::Head
            if rule.is_bypassed(request.fields) || changes_its_meaning(request.fields) =>
        {
            Some(Purpose::Pass(Forwarded::Bypass))
        }
        Method::Get | Method::Head if request.framing == Framing::None && !request.upgrade => None,
        Method::Get
        | Method::Head
        | Method::Options
        | Method::Trace
        | Method::Connect
        | Method::Post
        | Method::Put
        | Method::Delete
        | Method::Patch
        | Method::Other => Some(Purpose::Pass(Forwarded::Method)),
    }
}

/// The object as the answer to a request of this method with these fields.
pub(super) fn stored(
    object: Arc<Object>,
    (method, fields): (Method, &[Field<'_>]),
    now: Instant,
) -> Stored {
    let answer = caching::answer(
        method,
        fields,
        object.status,
        &object.view(),
        object.body.length(),
    );
    let status = Status::Hit {
        ttl: object.age(now).1,
    };
    Stored {
        object,
        answer,
        status,
        reader: None,
    }
}

/// The same for what is not all here; `None` if its beginning has gone.
pub(super) fn read(
    object: Arc<Object>,
    request: (Method, &[Field<'_>]),
    now: Instant,
) -> Option<Stored> {
    let stored = stored(object, request, now);
    let from = match &stored.answer {
        Answer::Part(range) => range.start,
        Answer::Whole | Answer::NotModified | Answer::NoSuchPart => 0,
    };
    let reader = stored.object.body.read(from)?;
    Some(Stored {
        reader: Some(reader),
        ..stored
    })
}

/// The URI as the store knows it. `None` for what has no host, and where a byte is no text: nobody asks for that twice.
pub(super) fn key(scheme: &str, query: &Query, request: &Request<'_>) -> Option<Key> {
    let host = str::from_utf8(request.authority).ok()?;
    let host = Some(host).filter(|host| !host.is_empty())?;
    let target = str::from_utf8(request.target).ok()?;
    Some(cache::uri(scheme, host, &query.of(target)).into())
}

/// The fields by which an origin is asked whether what is stored still holds, in place of the client's own conditions.
pub(in crate::exchange) fn confirming<'a>(
    request: &[Field<'a>],
    stored: &[Field<'a>],
) -> Fields<'a> {
    let mut fields = Fields::new();
    for field in request.iter().filter(|field| !is_condition(field)) {
        // No more than there were.
        let _ = fields.try_push(*field);
    }
    for (name, value) in caching::questions(stored) {
        // A full list asks for the whole.
        let _ = fields.try_push(Field::new(name, value));
    }
    fields
}

fn list(fields: &[Field<'_>]) -> HeaderList {
    let mut list = HeaderList::default();
    for field in fields {
        list.push(field.name, field.value);
    }
    list
}

/// A list as fields.
pub(super) fn view(list: &HeaderList) -> Fields<'_> {
    let mut fields = Fields::new();
    for (name, value) in list.iter() {
        // No more than a head may have.
        let _ = fields.try_push(Field::new(name, value));
    }
    fields
}
