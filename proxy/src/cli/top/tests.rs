//! The dashboard as it is drawn, and what keys make of it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use insta::assert_snapshot;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::json;

use super::board::{Board, Page};
use super::figures::{millis, quantile, short, span, whole};
use super::tables::View;
use super::view;
use crate::control::top::Sample;
use crate::shield::{Kind, ListEvent};
use crate::telemetry::RouteFigures;

/// As it is after so many seconds of the same traffic.
fn sample(seconds: u64) -> Sample {
    let at = |per_second: u64| 1000 + seconds * per_second;
    let bounds: Vec<f64> = vec![0.001, 0.01, 0.1, 1.0];
    let endpoint = |name: &str, state: &str, requests: u64, failures: u64| {
        json!({
            "endpoint": name, "state": state, "weight": 1, "active": 3, "requests": at(requests), "failures": at(failures),
            "connects_failed": at(failures), "latency_ms": 12.3,
        })
    };
    let sample = json!({
        "uptime": 3700.0 + seconds as f64, "version": "0.1.0", "pid": 7, "generation": 2, "workers": 2,
        "shield": "eth0 (native)", "attack": true, "blocked": 12345,
        "interfaces": [
            { "name": "eth0", "xdp": "native", "rx_packets": at(1_500_000), "rx_bytes": at(90_000_000), "rx_dropped": at(0),
              "tx_packets": at(20_000), "tx_bytes": at(30_000_000) },
            { "name": "lo", "rx_packets": at(7) },
        ],
        "stages": [
            { "interface": "eth0", "verdict": "pass", "reason": "shield.pass", "packets": at(20_000), "bytes": at(20_000_000) },
            { "interface": "eth0", "verdict": "drop", "reason": "shield.ban", "packets": at(1_480_000), "bytes": at(70_000_000) },
        ],
        "listeners": [
            { "name": "web", "addresses": ["0.0.0.0:443"], "protocols": ["h1", "h2"], "open": 321, "accepted": at(100),
              "requests": at(12_000), "errors": at(2), "bytes_in": at(1_000), "bytes_out": at(50_000_000) },
            { "name": "db", "addresses": ["0.0.0.0:5432"], "protocols": ["tcp"], "open": 4, "accepted": at(1) },
        ],
        "bounds": bounds,
        "routes": [
            { "name": "static", "requests": at(10_000), "classes": [0, 0, at(10_000), 0, 0, 0], "bytes_out": at(49_000_000),
              "buckets": [at(9_000), at(900), at(100), 0, 0], "cache_asked": at(10_000), "cache_hits": at(9_500) },
            { "name": "app", "requests": at(2_000), "classes": [0, 0, at(1_900), 0, at(98), at(2)], "bytes_out": at(1_000_000),
              "buckets": [0, at(1_000), at(900), at(98), at(2)] },
            { "name": "quiet" },
        ],
        "upstreams": [
            { "upstream": "app", "balance": "round_robin", "endpoints": [
                endpoint("10.0.0.1:9001", "up", 1_500, 0), endpoint("10.0.0.2:9001", "down", 498, 2),
            ] },
        ],
        "refusals": { "limit.rate": at(98), "upstream.connect": at(2) },
    });
    serde_json::from_value(sample).unwrap()
}

fn board() -> Board {
    let mut board = Board::new(sample(0));
    board.take(sample(1));
    for (prefix, reason) in [
        ("203.0.113.7", "waf.sqli"),
        ("198.51.100.0/24", "h2.abuse \u{1b}[31m"),
    ] {
        board.ban(&ListEvent {
            time: "2026-11-22T18:00:00Z".into(),
            event: "autoban".into(),
            kind: Kind::Block,
            list: Some("autoban".into()),
            prefix: Some(prefix.into()),
            ttl: Some(600),
            reason: Some(reason.into()),
            counts: None,
            lost: None,
        });
    }
    board
}

fn drawn(board: &Board, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view::draw(frame, board)).unwrap();
    terminal.backend().to_string()
}

fn press(board: &mut Board, keys: &[KeyCode]) {
    for key in keys {
        let pressed = board.press(KeyEvent::new(*key, KeyModifiers::NONE));
        assert!(pressed.is_continue(), "{key:?}");
    }
}

#[test]
fn everything_fits_on_a_small_terminal() {
    assert_snapshot!(drawn(&board(), 80, 24), @r#"
    "openclaw 0.1.0  SYN FLOOD  12.0k req/s  2.0 5xx/s  325 open  up 1h01m  config 2 "
    "12345 blocked; shield: eth0 (native)                                            "
    "NIC interface         rx pkt/s    rx B/s    drop/s  tx pkt/s    tx B/s       xdp"
    "eth0                      1.5M     90.0M         0     20.0k     30.0M    native"
    "lo                         7.0         0         0         0         0         -"
    "XDP stage                                    pkt/s       B/s   packets   verdict"
    "eth0 shield.pass                             20.0k     20.0M     21.0k      pass"
    "eth0 shield.ban                               1.5M     70.0M      1.5M      drop"
    "LISTENER name             open    conn/s     req/s     5xx/s    in B/s   out B/s"
    "web                        321       100     12.0k       2.0      1.0k     50.0M"
    "db                           4       1.0         0         0         0         0"
    "ROUTE name     req/s     4xx/s     5xx/s       p50       p99   out B/s     hit %"
    "static         10.0k         0         0     1.0ms      10ms     49.0M        95"
    "app             2.0k      98.0       2.0      10ms      1.0s      1.0M         -"
    "UPSTREAM endpoint        req/s    fail/s    active   latency    weight     state"
    "app 10.0.0.1:9001         1.5k         0         3      12ms         1        up"
    "app 10.0.0.2:9001          498       2.0         3      12ms         1      down"
    "REFUSAL reason                                   per s    in all                "
    "limit.rate                                        98.0      1.1k                "
    "upstream.connect                                   2.0      1.0k                "
    "BLOCK LISTS as they change                                                      "
    "18:00:00 autoban 198.51.100.0/24 for 10m on autoban: h2.abuse �[31m             "
    "18:00:00 autoban 203.0.113.7 for 10m on autoban: waf.sqli                       "
    "q quit  tab page  enter look closer  esc back  s sort  r turn  p pause  ? help  "
    "#);
}

#[test]
fn a_long_endpoint_keeps_its_port_on_a_small_terminal() {
    let mut sample = sample(1);
    sample.workers = 1;
    let endpoints = sample
        .upstreams
        .iter_mut()
        .flat_map(|one| &mut one.endpoints);
    endpoints.for_each(|one| one.endpoint = "192.168.100.101:58080".into());
    let board = Board::new(sample);
    let text = drawn(&board, 80, 24);
    assert!(text.contains("…100.101:58080 "), "{text}");
    let text = drawn(&board, 120, 40);
    assert!(text.contains("app 192.168.100.101:58080 "), "{text}");
    assert!(text.contains("  1 worker "), "{text}");
}

#[test]
fn a_larger_one_has_room_for_all_rows() {
    assert_snapshot!(drawn(&board(), 120, 40), @r#"
    "openclaw 0.1.0  SYN FLOOD  12.0k req/s  2.0 5xx/s  325 open  up 1h01m  config 2  2 workers                              "
    "12345 blocked; shield: eth0 (native)                                                                                    "
    "NIC interface                                 rx pkt/s    rx B/s    drop/s  tx pkt/s    tx B/s       xdp                "
    "eth0                                              1.5M     90.0M         0     20.0k     30.0M    native                "
    "lo                                                 7.0         0         0         0         0         -                "
    "XDP stage                                        pkt/s       B/s   packets   verdict                                    "
    "eth0 shield.pass                                 20.0k     20.0M     21.0k      pass                                    "
    "eth0 shield.ban                                   1.5M     70.0M      1.5M      drop                                    "
    "LISTENER name                                     open    conn/s     req/s     5xx/s    in B/s   out B/s                "
    "web                                                321       100     12.0k       2.0      1.0k     50.0M                "
    "db                                                   4       1.0         0         0         0         0                "
    "ROUTE name                                       req/s     4xx/s     5xx/s       p50       p99   out B/s     hit %      "
    "static                                           10.0k         0         0     1.0ms      10ms     49.0M        95      "
    "app                                               2.0k      98.0       2.0      10ms      1.0s      1.0M         -      "
    "quiet                                                0         0         0         -         -         0         -      "
    "UPSTREAM endpoint                                req/s    fail/s    active   latency    weight     state                "
    "app 10.0.0.1:9001                                 1.5k         0         3      12ms         1        up                "
    "app 10.0.0.2:9001                                  498       2.0         3      12ms         1      down                "
    "REFUSAL reason                                   per s    in all                                                        "
    "limit.rate                                        98.0      1.1k                                                        "
    "upstream.connect                                   2.0      1.0k                                                        "
    "BLOCK LISTS as they change                                                                                              "
    "18:00:00 autoban 198.51.100.0/24 for 10m on autoban: h2.abuse �[31m                                                     "
    "18:00:00 autoban 203.0.113.7 for 10m on autoban: waf.sqli                                                               "
    "                                                                                                                        "
    "                                                                                                                        "
    "                                                                                                                        "
    "                                                                                                                        "
    "                                                                                                                        "
    "                                                                                                                        "
    "                                                                                                                        "
    "                                                                                                                        "
    "                                                                                                                        "
    "                                                                                                                        "
    "                                                                                                                        "
    "                                                                                                                        "
    "                                                                                                                        "
    "                                                                                                                        "
    "                                                                                                                        "
    "q quit  tab page  enter look closer  esc back  s sort  r turn  p pause  ? help                                          "
    "#);
}

#[test]
fn keys_turn_pages_choose_sort_and_look_closer() {
    let mut board = board();
    press(&mut board, &[KeyCode::Char('4')]);
    assert_eq!(board.page, Page::Whole(View::Routes));
    press(
        &mut board,
        &[KeyCode::Char('s'), KeyCode::Char('s'), KeyCode::Down],
    );
    assert_snapshot!(drawn(&board, 80, 8), @r#"
    "openclaw 0.1.0  SYN FLOOD  12.0k req/s  2.0 5xx/s  325 open  up 1h01m  config 2 "
    "12345 blocked; shield: eth0 (native)                                            "
    "ROUTE name    req/s▼     4xx/s     5xx/s       p50       p99   out B/s     hit %"
    "static         10.0k         0         0     1.0ms      10ms     49.0M        95"
    "app             2.0k      98.0       2.0      10ms      1.0s      1.0M         -"
    "quiet              0         0         0         -         -         0         -"
    "                                                                                "
    "q quit  tab page  enter look closer  esc back  s sort  r turn  p pause  ? help  "
    "#);
    // The chosen row is the second one by requests.
    press(&mut board, &[KeyCode::Enter]);
    assert_eq!(board.page, Page::Row(View::Routes, "app".into()));
    let closer = drawn(&board, 80, 24);
    for part in [
        "ROUTE",
        "name           app",
        "p99            1.0s",
        "5xx            1.0k",
        "requests       3.0k",
    ] {
        assert!(closer.contains(part), "{part}\n{closer}");
    }
    press(&mut board, &[KeyCode::Esc]);
    assert_eq!(board.page, Page::Whole(View::Routes));
    press(&mut board, &[KeyCode::Esc, KeyCode::BackTab]);
    assert_eq!(board.page, Page::News);
    press(&mut board, &[KeyCode::Tab]);
    assert_eq!(board.page, Page::Overview);
    press(&mut board, &[KeyCode::Char('6'), KeyCode::Enter]);
    let told = drawn(&board, 100, 12);
    assert!(told.contains("`openclaw limit list` shows who"), "{told}");
    press(&mut board, &[KeyCode::Char('?')]);
    assert!(drawn(&board, 80, 24).contains("Nothing here changes the proxy."));
    let quit = [
        KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE),
        KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL),
    ];
    for key in quit {
        assert!(board.press(key).is_break());
    }
}

#[test]
fn a_held_picture_stands_and_trouble_is_told() {
    let mut board = board();
    press(&mut board, &[KeyCode::Char('p')]);
    board.take(sample(3));
    let held = drawn(&board, 80, 24);
    assert!(
        held.contains("PAUSED") && held.contains("12.0k req/s"),
        "{held}"
    );
    press(&mut board, &[KeyCode::Char('p')]);
    board.trouble("no openclaw is running".into());
    assert!(drawn(&board, 80, 24).contains("no news: no openclaw is running"));
    board.take(sample(5));
    let on = drawn(&board, 80, 24);
    assert!(
        on.contains("12.0k req/s") && !on.contains("no news"),
        "{on}"
    );
    // Another process counts anew.
    board.take(Sample {
        pid: 8,
        ..sample(0)
    });
    assert!(drawn(&board, 80, 24).contains(" 0 req/s"));
    for (width, height) in [(1, 1), (3, 2), (20, 5), (79, 10), (300, 100)] {
        drawn(&board, width, height);
    }
}

#[test]
fn figures_fit_their_column() {
    for (value, expected) in [
        (0.0, "0"),
        (0.04, "0.0"),
        (7.46, "7.5"),
        (99.94, "99.9"),
        (99.96, "100"),
        (999.4, "999"),
        (999.6, "1.0k"),
        (12_345.0, "12.3k"),
        (1.5e6, "1.5M"),
        (1e20, "100000P"),
    ] {
        assert_eq!(short(value), expected);
    }
    assert_eq!([0, 7, 999, 1000].map(whole), ["0", "7", "999", "1.0k"]);
    assert_eq!(
        [0.5, 12.3, 1500.0, 30_000.0].map(millis),
        ["0.5ms", "12ms", "1.5s", "30s"]
    );
    assert_eq!(
        [59.0, 3_700.0, 90_000.0].map(span),
        ["0m59s", "1h01m", "1d01h"]
    );
    let figures = |buckets: &[u64]| RouteFigures {
        buckets: buckets.to_vec(),
        ..RouteFigures::default()
    };
    let bounds = [0.001, 0.01];
    let (now, before) = (figures(&[5, 5, 2]), figures(&[5, 0, 0]));
    assert_eq!(quantile(&now, Some(&before), &bounds, 0.5), Some(10.0));
    assert_eq!(quantile(&now, None, &bounds, 0.3), Some(1.0));
    assert_eq!(
        quantile(&now, Some(&before), &bounds, 0.99),
        Some(10.0),
        "at least"
    );
    assert_eq!(quantile(&before, Some(&before), &bounds, 0.5), None);
}
