//! The log over loopback does what every log must, and a broken connection is told and mended.
#![allow(clippy::unwrap_used, reason = "a fixture that fails fails its test")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sagaline_log::conformance::{SecondMember, Subject};
use sagaline_log::embedded::EmbeddedLog;
use sagaline_log::loopback::{LoopbackLog, Server, serve};
use sagaline_log::{GroupEvent, Log, LogError, NewTopic, Record};

const LOOK: Duration = Duration::from_millis(20);

struct Served {
    dir: tempfile::TempDir,
    log: Arc<EmbeddedLog>,
    server: Option<Server>,
    port: u16,
}

fn served() -> Served {
    let dir = tempfile::tempdir().unwrap();
    let log = Arc::new(EmbeddedLog::open(dir.path()).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Some(serve(listener, log.clone()).unwrap());
    Served { dir, log, server, port }
}

impl Served {
    fn client(&self) -> LoopbackLog {
        LoopbackLog::connect(&format!("127.0.0.1:{}", self.port)).unwrap()
    }

    fn restart(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).unwrap();
        self.server = Some(serve(listener, self.log.clone()).unwrap());
    }

    fn topic(&self) {
        let topic = NewTopic { name: "t".to_owned(), partitions: 1, replicas: 1, settings: Vec::new() };
        self.log.create_topic(&topic).unwrap();
    }
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
    }
}

fn subject() -> Subject {
    let served = served();
    Subject {
        log: Arc::new(served.client()),
        prefix: "t".to_owned(),
        second_member: SecondMember::Refused,
        // The whole fixture moves in: the server lives as long as the subject.
        tick: Box::new(move || {
            let served = &served;
            assert!(served.server.is_some() && served.dir.path().is_dir());
        }),
    }
}

sagaline_log::conformance_tests!(subject);

#[test]
fn nothing_is_served_or_asked_beyond_this_machine() {
    let log: Arc<dyn Log> = Arc::new(sagaline_log::simulated::Simulation::new(1).log());
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    assert!(matches!(serve(listener, log), Err(LogError::Address { .. })));
    assert!(matches!(LoopbackLog::connect("192.0.2.1:80"), Err(LogError::Address { .. })));
}

#[test]
fn nobody_there_is_unreachable() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(matches!(LoopbackLog::connect(&free.to_string()), Err(LogError::Unreachable { .. })));
}

#[test]
fn a_broken_connection_leaves_appends_unknown_and_the_producer_goes_on() {
    let mut served = served();
    served.topic();
    let client = served.client();
    let mut producer = client.producer().unwrap();
    // Never flushed before the server is gone: the outcome can't be known on this side.
    producer.append("t", 0, &Record::default(), 7).unwrap();
    served.server = None;
    let mut told = Vec::new();
    until("the acknowledgement", || {
        producer.poll(LOOK, &mut told);
        (producer.in_flight() == 0).then_some(())
    });
    assert_eq!(told.len(), 1);
    assert!(matches!(told[0].outcome, Err(LogError::OutcomeUnknown { .. })), "{told:?}");
    assert!(matches!(producer.append("t", 0, &Record::default(), 8), Err(LogError::Unreachable { .. })));
    served.restart();
    until("an append to be taken", || producer.append("t", 0, &Record::default(), 9).ok());
    until("the acknowledgement", || {
        producer.poll(LOOK, &mut told);
        (told.len() == 2).then_some(())
    });
    assert_eq!((told[1].ticket, told[1].outcome.is_ok()), (9, true));
}

#[test]
fn a_broken_connection_revokes_and_the_member_goes_on_at_its_commit() {
    let mut served = served();
    served.topic();
    let mut producer = served.log.producer().unwrap();
    for n in 0..3 {
        producer.append("t", 0, &Record::default(), n).unwrap();
    }
    let mut member = served.client().join("g", "m", &["t".to_owned()]).unwrap();
    let mut events = Vec::new();
    until("three records", || {
        member.poll(10, LOOK, &mut events).unwrap();
        (events.len() == 4).then_some(())
    });
    member.commit("t", 0, 2).unwrap();
    served.server = None;
    events.clear();
    until("the revocation", || {
        let _broken = member.poll(10, LOOK, &mut events);
        (!events.is_empty()).then_some(())
    });
    assert_eq!(events, [GroupEvent::Revoked(vec![("t".into(), 0)])]);
    assert!(member.commit("t", 0, 3).is_err());
    served.restart();
    until("the last record", || {
        let _not_yet = member.poll(10, LOOK, &mut events);
        (events.len() == 3).then_some(())
    });
    assert_eq!(events[1], GroupEvent::Assigned(vec![("t".into(), 0, 2)]));
    assert!(matches!(&events[2], GroupEvent::Record(fetched) if fetched.offset == 2));
}

#[test]
fn a_member_whose_process_dies_leaves_the_group() {
    let served = served();
    served.topic();
    let member = served.client().join("g", "m", &["t".to_owned()]).unwrap();
    assert!(matches!(served.client().join("g", "n", &["t".to_owned()]).err(), Some(LogError::InUse { .. })));
    drop(member);
    until("the group to be free", || served.client().join("g", "n", &["t".to_owned()]).ok());
}

#[test]
fn noise_ends_the_connection_and_nothing_else() {
    let served = served();
    for noise in [
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".to_vec(),
        vec![255; 64],
        vec![4, 0, 0, 0, 2, b'{', 0, 0],
        [&[40, 0, 0, 0, 72][..], br#"{"protocol":"other/1","purpose":"Produce"}"#].concat(),
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", served.port)).unwrap();
        stream.write_all(&noise).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _reset_or_end = stream.read_to_end(&mut answer);
        assert_eq!(answer, b"");
    }
    assert!(served.client().cluster_id().is_ok());
}
