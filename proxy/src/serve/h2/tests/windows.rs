//! Flow control of both levels, in both directions.

use super::raw::{Raw, f, get, post, reset, settings, update};
use super::server::run;
use crate::serve::h2::frame::{
    ACK, Code, DATA, END_STREAM, PADDED, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
};

#[test]
fn windows_of_both_levels_are_obeyed_also_below_zero() {
    run(async {
        let mut raw = Raw::open_with(&[(4, 10)]).await;
        raw.send(&get(1, "/length/100")).await;
        assert_eq!(raw.find(DATA).await.payload.len(), 10);
        // The window goes to 4 - 10 = -6: 16 more make it 10.
        raw.send(&[settings(&[(4, 4)]), update(1, 5), f(PING, 0, 0, &[0; 8])].concat())
            .await;
        raw.find(SETTINGS).await;
        assert_eq!(raw.next().await.unwrap().kind, PING);
        raw.send(&update(1, 11)).await;
        assert_eq!(raw.find(DATA).await.payload.len(), 10);
        raw.send(&settings(&[(4, 94)])).await;
        let mut rest = 0;
        while rest < 80 {
            rest += raw.find(DATA).await.payload.len();
        }
        assert_eq!(rest, 80);
    });
    run(async {
        let mut raw = Raw::open_with(&[(4, 1 << 20)]).await;
        raw.send(&[get(1, "/length/65535"), get(3, "/length/10")].concat())
            .await;
        let mut sum = 0;
        while sum < 65535 {
            sum += raw.find(DATA).await.payload.len();
        }
        raw.send(&update(0, 4)).await;
        let more = raw.find(DATA).await;
        assert_eq!((more.stream, more.payload.len(), more.flags), (3, 4, 0));
        raw.send(&update(0, 6)).await;
        let more = raw.find(DATA).await;
        assert_eq!(
            (more.stream, more.payload.len(), more.flags),
            (3, 6, END_STREAM)
        );
    });
}

#[test]
fn data_of_streams_that_are_over_is_credited_to_the_connection() {
    run(async {
        let mut raw = Raw::open().await;
        // Far more than the window of the connection, to streams that nobody reads.
        for at in 0..40 {
            let id = 2 * at + 1;
            raw.send(&post(id, "/early")).await;
            let asked = raw.find(PING).await;
            raw.send(&f(PING, ACK, 0, &asked.payload)).await;
            assert_eq!(raw.find(RST_STREAM).await.number(0), Code::NoError as u32);
            for _ in 0..3 {
                raw.send(&f(DATA, PADDED, id, &[&[200][..], &[0; 16000]].concat()))
                    .await;
            }
        }
        raw.works(1001).await;
    });
}

#[test]
fn body_is_credited_when_it_is_consumed_and_not_before() {
    run(async {
        let mut raw = Raw::open().await;
        raw.send(&post(1, "/hold")).await;
        for _ in 0..3 {
            raw.send(&f(DATA, 0, 1, &[0; 16000])).await;
        }
        raw.send(&f(PING, 0, 0, &[0; 8])).await;
        assert_eq!(raw.next().await.unwrap().kind, PING);
        // Padding alone is credited at once.
        raw.send(&post(3, "/hold")).await;
        for _ in 0..140 {
            raw.send(&f(DATA, PADDED, 3, &[&[255][..], &[0; 255]].concat()))
                .await;
        }
        let credit = raw.find(WINDOW_UPDATE).await;
        assert_eq!((credit.stream, credit.number(0)), (3, 128 * 256));
    });
}

#[test]
fn an_upload_is_stopped_one_round_trip_after_its_response_or_by_the_client() {
    run(async {
        let mut raw = Raw::open().await;
        raw.send(&[post(1, "/early"), post(3, "/early"), post(5, "/early")].concat())
            .await;
        let asked = raw.find(PING).await;
        raw.send(
            &[
                f(DATA, END_STREAM, 1, b"x"),
                reset(3),
                f(PING, ACK, 0, &asked.payload),
            ]
            .concat(),
        )
        .await;
        let again = raw.find(PING).await;
        raw.send(&f(PING, ACK, 0, &again.payload)).await;
        let stop = raw.find(RST_STREAM).await;
        assert_eq!((stop.stream, stop.number(0)), (5, Code::NoError as u32));
        raw.works(7).await;
        // Without answers to PING the streams that wait are bounded.
        for id in (9..209).step_by(2) {
            raw.send(&post(id, "/early")).await;
        }
        assert_eq!(raw.find(RST_STREAM).await.stream, 137);
    });
}
