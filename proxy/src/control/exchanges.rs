//! What the workers remember of single exchanges, for whoever asks by an id.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use openclaw_core::config::keys::did_you_mean;
use openclaw_core::config::{Config, units};
use openclaw_core::reason::{self, Reason};
use serde_json::{Value, json};

use super::admin::table::{Call, Route};
use super::http::Answer;
use super::state::Control;
use crate::telemetry::{Cache, Exchange, FOLLOWERS, Follower, Recollection, Sift, Tried, is_of};
use crate::worker::Command;

/// Calls have no body.
const NO_BODY: usize = 0;

pub(super) static ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/exchanges/explain",
        max_body: NO_BODY,
        run: |control, call| Box::pin(explain(control, call)),
    },
    Route {
        method: "GET",
        path: "/exchanges/follow",
        max_body: NO_BODY,
        run: |control, call| Box::pin(follow(control, call)),
    },
];

/// Lines as in the access log, and now and then one that says how many were lost. The parameters are those of [`Sift`].
async fn follow(control: Rc<Control>, call: Call) -> Answer {
    let sift = match sift(&call) {
        Ok(sift) => sift,
        Err(message) => return Answer::error(400, &message),
    };
    if let Some(message) = nothing_of(&control.snapshot().config, &sift) {
        return Answer::error(404, &message);
    }
    let (follower, lines) = Follower::new(sift);
    {
        let mut followers = control.followers.borrow_mut();
        followers.retain(|life| life.strong_count() > 0);
        if followers.len() >= FOLLOWERS {
            let message = format!("{FOLLOWERS} follow the exchanges already");
            return Answer::error(409, &message);
        }
        followers.push(follower.life());
    }
    // Nothing is missed from the answer on.
    control
        .ask_workers(|reply| Command::Follow(follower.clone(), reply))
        .await;
    Answer::lines(lines)
}

fn sift(call: &Call) -> Result<Sift, String> {
    let status = call.parameter("status").map(|text| {
        statuses(&text).ok_or_else(|| format!("`{text}` is no status; write 502, 5xx or 400-499"))
    });
    let client = call.parameter("client");
    let client = client.map(|text| units::prefix(&text).map_err(|error| error.to_string()));
    let slower = call.parameter("slow");
    let slower = slower.map(|text| units::duration(&text).map_err(|error| error.to_string()));
    Ok(Sift {
        reason: call.parameter("reason"),
        listener: call.parameter("listener"),
        route: call.parameter("route"),
        upstream: call.parameter("upstream"),
        host: call.parameter("host"),
        status: status.transpose()?,
        client: client.transpose()?,
        slower: slower.transpose()?,
        only_bad: call.parameter("errors").is_some(),
    })
}

/// What is asked for and never comes: a name that nothing has.
fn nothing_of(config: &Config, sift: &Sift) -> Option<String> {
    let listeners = config.listeners.iter().map(|one| &*one.name).collect();
    let routes = config.routes.iter().map(|one| &*one.name).collect();
    let upstreams = config.upstreams.iter().map(|one| &*one.name).collect();
    let asked: [(_, _, Vec<&str>); 3] = [
        ("listener", &sift.listener, listeners),
        ("route", &sift.route, routes),
        ("upstream", &sift.upstream, upstreams),
    ];
    let name = asked.into_iter().find_map(|(what, asked, known)| {
        let asked = asked.as_deref().filter(|asked| !known.contains(asked))?;
        let meant = did_you_mean(asked, known);
        let meant = meant.map_or_else(String::new, |meant| format!("; {meant}"));
        Some(format!("there is no {what} `{asked}`{meant}"))
    });
    name.or_else(|| {
        let code = sift.reason.as_deref()?;
        let mut all = reason::ALL.iter();
        let is_known = all.any(|entry| is_of(code, entry.code));
        (!is_known).then(|| format!("no reason is or begins with `{code}`; see `openclaw reasons`"))
    })
}

/// What an endpoint may answer with.
const STATUSES: (u16, u16) = (100, 999);

/// `502`, `5xx` or `400-499`; no status that nothing is answered with.
fn statuses(text: &str) -> Option<(u16, u16)> {
    if let Some(class) = text.strip_suffix("xx") {
        let class: u16 = class.parse().ok().filter(|class| (1..=9).contains(class))?;
        return Some((class * 100, class * 100 + 99));
    }
    let (least, most) = text.split_once('-').unwrap_or((text, text));
    let (least, most) = (least.parse().ok()?, most.parse().ok()?);
    let is_any = least <= most && most >= STATUSES.0 && least <= STATUSES.1;
    is_any.then_some((least, most))
}

/// The parameter `id`.
async fn explain(control: Rc<Control>, call: Call) -> Answer {
    let Some(id) = call.parameter("id").filter(|id| !id.is_empty()) else {
        return Answer::error(400, "which id?");
    };
    let id: Arc<str> = id.into();
    let known = control
        .ask_workers(|reply| Command::Recall(Arc::clone(&id), reply))
        .await;
    let log = &control.snapshot().config.log;
    let mut found: Vec<&Exchange> = known.iter().flat_map(|worker| &worker.found).collect();
    found.sort_by_key(|exchange| std::cmp::Reverse(exchange.ended));
    let Some((newest, others)) = found.split_first() else {
        return Answer::error(404, &unknown(&id, &known, log.slow, log.recent));
    };
    let mut told = tell(newest, log.slow);
    if let Value::Object(told) = &mut told
        && !others.is_empty()
    {
        let earlier = others.iter().map(|other| tell(other, log.slow));
        told.insert("earlier".into(), earlier.collect());
    }
    Answer::json(200, &told)
}

/// What is kept, and for how long.
fn unknown(id: &str, known: &[Recollection], slow: Duration, recent: u64) -> String {
    let kept: usize = known.iter().map(|worker| worker.kept).sum();
    let oldest = known.iter().filter_map(|worker| worker.oldest).min();
    let now = SystemTime::now();
    let age = oldest.and_then(|oldest| now.duration_since(oldest).ok());
    let now = match age {
        Some(age) => format!("{kept} now, the oldest from {} s ago", age.as_secs()),
        None => "none now".to_owned(),
    };
    format!(
        "nothing is remembered of {id}: only requests that were refused, failed, or whose answer took longer than {slow:?} \
         are, until newer ones need their place ({recent} bytes for each worker, `log.recent`): {now}"
    )
}

fn tell(exchange: &Exchange, slow: Duration) -> Value {
    let Exchange {
        ended,
        fields,
        status,
        reason,
        duration,
        waited,
        upstream_time,
        bytes_in,
        bytes_out,
        retries,
        tries,
        cache,
    } = exchange;
    let word = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let entry = reason.map(Reason::entry);
    json!({
        "id": fields.id,
        "time": super::admin::rfc3339(*ended),
        "age_seconds": SystemTime::now().duration_since(*ended).unwrap_or_default().as_secs(),
        "outcome": outcome(exchange, slow),
        "status": (*status > 0).then_some(*status),
        "reason": entry.map(|entry| entry.code),
        "fault": entry.map(|entry| entry.fault.word()),
        "meaning": entry.map(|entry| entry.meaning),
        "advice": entry.map(|entry| entry.advice),
        "detail": word(fields.detail),
        "listener": word(&fields.listener),
        "client": word(&fields.client),
        "tls": word(fields.tls),
        "protocol": word(&fields.protocol),
        "method": word(&fields.method),
        "host": word(&fields.host),
        "path": word(&fields.path),
        "path_is_as_sent": fields.is_as_sent,
        "user_agent": word(&fields.user_agent),
        "referer": word(&fields.referer),
        "route": word(&fields.route),
        "cache": cache.map(Cache::word),
        "upstream": word(&fields.upstream),
        "endpoint": word(&fields.endpoint),
        "tries": tries.iter().map(tried).collect::<Vec<_>>(),
        "retries": retries,
        "sent_after_ms": waited.map(millis),
        "upstream_ms": upstream_time.map(millis),
        "duration_ms": millis(*duration),
        "bytes_in": bytes_in,
        "bytes_out": bytes_out,
    })
}

/// Why it is remembered, in a sentence.
fn outcome(exchange: &Exchange, slow: Duration) -> String {
    match (exchange.reason, exchange.status) {
        (Some(_), 0) => "refused without an answer".to_owned(),
        (Some(reason), status) if reason.code().starts_with("upstream.") => {
            format!("failed with {status}")
        }
        (Some(_), 499) => "ended before its answer".to_owned(),
        (Some(_), status) => format!("refused with {status}"),
        (None, status @ 500..) => format!("the endpoint itself answered {status}"),
        (None, status) => format!("answered {status}, later than after {slow:?}"),
    }
}

fn tried(tried: &Tried) -> Value {
    let Tried {
        endpoint,
        reason,
        detail,
        begun: _,
        took,
        span: _,
    } = tried;
    json!({
        "endpoint": &**endpoint,
        "reason": reason.code(),
        "detail": detail,
        "took_ms": millis(*took),
    })
}

/// To the microsecond.
fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::statuses;

    #[test]
    fn statuses_are_one_a_class_or_a_range() {
        for (text, expected) in [
            ("502", Some((502, 502))),
            ("5xx", Some((500, 599))),
            ("400-404", Some((400, 404))),
            ("0xx", None),
            ("9xx", Some((900, 999))),
            ("1000", None),
            ("0-99", None),
            ("404-400", None),
            ("xx", None),
            ("5x", None),
            ("70000xx", None),
            ("", None),
        ] {
            assert_eq!(statuses(text), expected, "{text}");
        }
    }
}
