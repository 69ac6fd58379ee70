//! A producer that does as it is told: what fails is sent again, in order, and nothing counts as answered before its acknowledgement.

use std::sync::{Arc, Mutex};

use sagaline_log::{LogError, Producer};
use sagaline_schemas::proof::open;
use sagaline_schemas::record::{Address, Kind, Succeeded};
use sagaline_schemas::{Partition, SagaId, Token};

use super::*;

/// What was appended, and what is to be acknowledged at the next poll.
#[derive(Default)]
struct Script {
    appended: Vec<(Ticket, String)>,
    refuse: Option<LogError>,
    acknowledge: Vec<Acknowledgement>,
}

#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Script>>);

impl Scripted {
    fn appended(&self) -> Vec<String> {
        self.0.lock().unwrap().appended.drain(..).map(|(_, text)| text).collect()
    }

    fn acknowledge(&self, ticket: Ticket, outcome: Result<i64, LogError>) {
        self.0.lock().unwrap().acknowledge.push(Acknowledgement { ticket, outcome });
    }

    fn refuse(&self, error: LogError) {
        self.0.lock().unwrap().refuse = Some(error);
    }
}

impl Producer for Scripted {
    fn append(&mut self, _: &str, _: Partition, record: &Record, ticket: Ticket) -> Result<(), LogError> {
        let mut script = self.0.lock().unwrap();
        if let Some(error) = script.refuse.take() {
            return Err(error);
        }
        let Body::Reply(reply) = open(INBOX.fingerprint, &record.value).unwrap().inbox.body else { panic!("no reply") };
        let text = match reply.answer {
            Answer::Succeeded(done) => String::from_utf8(done.result.to_vec()).unwrap(),
            other => format!("{other:?}"),
        };
        script.appended.push((ticket, text));
        Ok(())
    }
    fn poll(&mut self, _: Duration, into: &mut Vec<Acknowledgement>) {
        into.append(&mut self.0.lock().unwrap().acknowledge);
    }
    fn in_flight(&self) -> usize {
        0
    }
    fn purge(&mut self) {}
}

fn answer(n: i64) -> Outgoing {
    let address = Address {
        saga: SagaId::from_bytes([1; 16]),
        step: "s".into(),
        items: vec![],
        round: 0,
        kind: Kind::Do,
        attempt: 1,
    };
    let answer = Answer::Succeeded(Succeeded { result: n.to_string().as_str().into() });
    let reply = Reply { address, token: Token([0; 16]), answer, instance: "a".into(), time: 0 };
    let answers = Some(Place { topic: "commands.payment".into(), partition: 0, offset: n });
    Outgoing { topic: "inbox".into(), partition: 0, reply, traceparent: None, answers }
}

fn unknown() -> LogError {
    LogError::OutcomeUnknown { detail: "the broker went away".into() }
}

fn offsets(answered: Vec<Place>) -> Vec<i64> {
    answered.into_iter().map(|place| place.offset).collect()
}

#[test]
fn what_failed_is_sent_again_in_order_once_nothing_is_in_flight() {
    let producer = Scripted::default();
    let mut replies = Replies::new(Box::new(producer.clone()));
    let start = Instant::now();
    (0..4).for_each(|n| replies.push(answer(n)));
    assert_eq!(offsets(replies.work(start)), [0_i64; 0]);
    assert_eq!(producer.appended(), ["0", "1", "2", "3"]);

    producer.acknowledge(2, Err(unknown()));
    producer.acknowledge(1, Err(unknown()));
    producer.acknowledge(3, Ok(7));
    assert_eq!(offsets(replies.work(start)), [3]);
    replies.push(answer(4));
    let later = start + LONGEST_BACKOFF;
    assert_eq!(offsets(replies.work(later)), [0_i64; 0]);
    assert_eq!(producer.appended(), [""; 0], "0 is still in flight");

    producer.acknowledge(0, Ok(8));
    assert_eq!(offsets(replies.work(later)), [0]);
    assert_eq!(offsets(replies.work(later)), [0_i64; 0]);
    assert_eq!(producer.appended(), ["1", "2", "4"]);
    assert_eq!(replies.pending(), 3);
}

#[test]
fn a_run_waits_for_its_time() {
    let producer = Scripted::default();
    let mut replies = Replies::new(Box::new(producer.clone()));
    let start = Instant::now();
    replies.push(answer(0));
    producer.refuse(unknown());
    replies.work(start);
    replies.work(start + FIRST_BACKOFF / 2);
    assert_eq!(producer.appended(), [""; 0]);
    replies.work(start + FIRST_BACKOFF);
    assert_eq!(producer.appended(), ["0"]);
}

#[test]
fn an_answer_that_is_too_large_says_so() {
    let producer = Scripted::default();
    let mut replies = Replies::new(Box::new(producer.clone()));
    replies.push(answer(0));
    producer.refuse(LogError::TooLarge { topic: "inbox".into(), size: 2, limit: 1 });
    replies.work(Instant::now());
    let appended = producer.appended();
    assert!(appended.len() == 1 && appended[0].contains("inbox takes no record of 2 bytes"), "{appended:?}");
}

#[test]
fn a_compensation_whose_result_is_too_large_is_told_without_it() {
    let producer = Scripted::default();
    let mut replies = Replies::new(Box::new(producer.clone()));
    let mut outgoing = answer(0);
    outgoing.reply.answer = Answer::Compensated(Compensated { result: Some("1".into()) });
    replies.push(outgoing);
    producer.refuse(LogError::TooLarge { topic: "inbox".into(), size: 2, limit: 1 });
    replies.work(Instant::now());
    assert_eq!(producer.appended(), ["Compensated(Compensated { result: None })"]);
}

#[test]
fn what_can_be_said_in_fewer_words_is_so_once() {
    let error = LogError::TooLarge { topic: "inbox".into(), size: 2, limit: 1 };
    let mut said = Answer::Refused(Refused { code: "No".repeat(1_000), detail: "\u{e9}".repeat(5_000) });
    let mut times = 0;
    while let Some(less) = smaller(&said, &error) {
        (said, times) = (less, times + 1);
        assert!(times < 4, "{said:?} is asked for less again and again");
    }
    assert!(matches!(said, Answer::Failed(_)), "{said:?}");
}

#[test]
fn an_answer_to_nowhere_is_given_up() {
    let producer = Scripted::default();
    let mut replies = Replies::new(Box::new(producer.clone()));
    replies.push(answer(0));
    producer.refuse(LogError::NoTopic { topic: "inbox".into() });
    assert_eq!(offsets(replies.work(Instant::now())), [0]);
    assert_eq!(replies.pending(), 0);
}

#[test]
fn what_is_too_large_by_its_words_is_said_in_fewer() {
    let words = "\u{e9}".repeat(5_000);
    let refused = Answer::Refused(Refused { code: "No".into(), detail: words.clone() });
    let failed = Answer::Failed(Failed { error: words, retry_after: Some(7), outage: true });
    for (large, told) in [(refused, "Refused(Refused { code: \"No\""), (failed, "retry_after: Some(7), outage: true")] {
        let producer = Scripted::default();
        let mut replies = Replies::new(Box::new(producer.clone()));
        let mut outgoing = answer(0);
        outgoing.reply.answer = large;
        replies.push(outgoing);
        producer.refuse(LogError::TooLarge { topic: "inbox".into(), size: 2, limit: 1 });
        assert_eq!(offsets(replies.work(Instant::now())), [0_i64; 0]);
        let appended = producer.appended();
        assert!(appended.len() == 1 && appended[0].contains(told) && appended[0].len() < 2_000, "{appended:?}");
    }
}

#[test]
fn what_must_not_be_written_holds_up_nothing_where_it_was_asked_beside_the_log() {
    let producer = Scripted::default();
    let mut replies = Replies::new(Box::new(producer.clone()));
    let (mut beside, awaited) = (answer(0), answer(1));
    beside.topic = "reconcile".into();
    beside.reply.address.attempt = 1 << 31;
    let start = Instant::now();
    for (outgoing, given_up) in [(beside, vec![0]), (awaited, vec![])] {
        producer.refuse(LogError::Forbidden { topic: outgoing.topic.clone(), detail: "no".into() });
        replies.push(outgoing);
        assert_eq!(offsets(replies.work(start)), given_up);
    }
    replies.work(start + LONGEST_BACKOFF);
    assert_eq!(producer.appended(), ["1"], "a saga's answer is sent again");
}
