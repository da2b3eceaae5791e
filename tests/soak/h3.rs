//! Clients of HTTP/3: several streams at once, some of them cancelled in either direction, some connections closed with all that is under
//! way, and addresses that change meanwhile.

use std::time::Duration;

use bytes::{Buf as _, Bytes};
use h3::error::{Code, StreamError};
use hyper::{Method, Request};
use tokio::time::{Instant, sleep_until, timeout};

use super::ledger::{Act, Asked, Fate};
use super::{Rng, Scene};
use crate::h3::client::{Client, Sender, Stream, config, endpoint, run};

pub(super) fn visit(scene: &Scene, rng: &mut Rng) {
    run(async {
        let endpoint = endpoint(config());
        let connecting = endpoint.connect(scene.webs, "a.test").unwrap();
        if let Ok(quic) = connecting.await {
            let client = Client::over(endpoint.clone(), quic).await;
            converse(scene, rng, &client).await;
            if rng.u8(0..20) == 0 {
                // Without a word.
                return;
            }
            let code = Code::H3_NO_ERROR.value().try_into().unwrap();
            client.quic.close(code, b"");
        }
        // The proxy is told before the client is gone.
        endpoint.wait_idle().await;
    });
}

/// What one stream does.
struct Plan {
    asked: Asked,
    method: Method,
    /// Whether the request says how long its body is.
    says_length: bool,
    leaves: Option<Leave>,
}

/// When a client takes its request back, and how.
#[derive(Clone, Copy)]
struct Leave {
    after: Duration,
    way: Way,
}

#[derive(Clone, Copy)]
enum Way {
    /// `RESET_STREAM`: there will be no more of the request.
    Reset,
    /// `STOP_SENDING`: the answer is not wanted.
    Stop,
    Both,
}

async fn converse(scene: &Scene, rng: &mut Rng, client: &Client) {
    for _ in 0..rng.u32(1..4) {
        let plans: Vec<Plan> = (0..rng.u32(1..8)).map(|_| plan(scene, rng)).collect();
        let streams = plans
            .iter()
            .map(|plan| stream(scene, client.sender.clone(), plan));
        let all = futures_util::future::join_all(streams);
        if rng.u8(0..10) == 0 {
            // The whole connection goes, and with it all that is under way.
            let _ = timeout(Duration::from_millis(rng.u64(0..20)), all).await;
            return;
        }
        let moves = (rng.u8(0..5) == 0).then(|| Duration::from_millis(rng.u64(0..10)));
        let moving = async {
            if let Some(moment) = moves {
                tokio::time::sleep(moment).await;
                client.move_away();
            }
        };
        futures_util::future::join(all, moving).await;
    }
}

fn plan(scene: &Scene, rng: &mut Rng) -> Plan {
    let (method, act) = match rng.u8(0..10) {
        0..2 => (Method::POST, Act::Echo),
        _ => (Method::GET, super::any_act(rng)),
    };
    let leaves = (rng.u8(0..12) == 0).then(|| Leave {
        after: Duration::from_millis(rng.u64(0..10)),
        way: match rng.u8(0..3) {
            0 => Way::Reset,
            1 => Way::Stop,
            _ => Way::Both,
        },
    });
    Plan {
        asked: scene.ledger.ask(act, super::any_size(rng)),
        method,
        says_length: rng.bool(),
        leaves,
    }
}

async fn stream(scene: &Scene, mut sender: Sender, plan: &Plan) {
    let asked = plan.asked;
    let mut request = Request::builder()
        .method(&plan.method)
        .uri(format!("https://a.test{}", asked.path()));
    if plan.says_length && plan.method == Method::POST {
        request = request.header("content-length", asked.size);
    }
    let begun = Instant::now();
    let opened = sender.send_request(request.body(()).unwrap()).await;
    let Ok(mut stream) = opened else {
        return scene.ledger.settle(asked, Fate::Broken);
    };
    let exchange = exchange(&mut stream, plan);
    let result = match plan.leaves {
        None => exchange.await,
        Some(leave) => {
            let left = tokio::select! {
                result = exchange => Some(result),
                () = sleep_until(begun + leave.after) => None,
            };
            match left {
                Some(result) => result,
                None => return take_back(stream, leave.way).await,
            }
        }
    };
    match result {
        Ok((status, body)) => scene.ledger.answered(asked, status, &body, &asked.body()),
        Err(_) => scene.ledger.settle(asked, Fate::Broken),
    }
}

/// The crate sends `STOP_SENDING` when a stream is dropped, and the end of the request, if that was not reset.
async fn take_back(mut stream: Stream, way: Way) {
    if matches!(way, Way::Reset | Way::Both) {
        stream.stop_stream(Code::H3_REQUEST_CANCELLED);
    }
    if matches!(way, Way::Reset) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn exchange(stream: &mut Stream, plan: &Plan) -> Result<(u16, Vec<u8>), StreamError> {
    if plan.method == Method::POST {
        for piece in plan.asked.body().chunks(16_384) {
            // The answer may be whole before the request is.
            if stream
                .send_data(Bytes::copy_from_slice(piece))
                .await
                .is_err()
            {
                break;
            }
        }
    }
    let _ = stream.finish().await;
    let mut head = stream.recv_response().await?;
    while head.status().is_informational() {
        head = stream.recv_response().await?;
    }
    let mut whole = Vec::new();
    while let Some(mut data) = stream.recv_data().await? {
        whole.extend_from_slice(&data.copy_to_bytes(data.remaining()));
    }
    Ok((head.status().as_u16(), whole))
}
