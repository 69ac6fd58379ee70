//! The three things that librdkafka can and its Rust crate does not offer: topic ids, waiting for a producer's events without
//! spinning, and (tests) a planted fatal error. The only unsafe code of this crate; nothing here decides anything.
#![allow(unsafe_code)]

use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};
use rdkafka::types::RDKafkaErrorCode;
use sagaline_schemas::TopicId;
use uuid::Uuid;

/// What DescribeTopics says of a topic.
pub(super) struct Description {
    pub id: TopicId,
    pub partitions: u32,
    /// Of its partition with the fewest.
    pub replicas: u32,
    /// Whether each partition has a leader: it can be written and read.
    pub led: bool,
}

/// A value of librdkafka's that is destroyed with its guard.
struct Owned<T> {
    ptr: *mut T,
    destroy: unsafe extern "C" fn(*mut T),
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if !self.ptr.is_null() {
            // SAFETY: `ptr` came from the constructor that belongs to `destroy`, and nobody else destroys it.
            unsafe { (self.destroy)(self.ptr) }
        }
    }
}

/// Asks the cluster what a topic is.
///
/// # Errors
/// The broker's or the client's code; an unknown topic is one of them.
pub(super) fn describe_topic<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    timeout: Duration,
) -> Result<Description, RDKafkaErrorCode> {
    let name = CString::new(topic).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
    let mut names = [name.as_ptr()];
    let millis = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
    let mut text: [c_char; 256] = [0; 256];
    // SAFETY: the client outlives this call; each object is destroyed by its guard, after the event that borrows from it; `names`
    // and `text` live until the calls that read and write them have returned.
    unsafe {
        let rk = client.native_ptr();
        let queue = Owned { ptr: sys::rd_kafka_queue_new(rk), destroy: sys::rd_kafka_queue_destroy };
        let options = Owned {
            ptr: sys::rd_kafka_AdminOptions_new(rk, sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS),
            destroy: sys::rd_kafka_AdminOptions_destroy,
        };
        sys::rd_kafka_AdminOptions_set_request_timeout(options.ptr, millis, text.as_mut_ptr(), text.len());
        let topics = Owned {
            ptr: sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len()),
            destroy: sys::rd_kafka_TopicCollection_destroy,
        };
        sys::rd_kafka_DescribeTopics(rk, topics.ptr, options.ptr, queue.ptr);
        // The request has its own timeout; the margin lets its answer arrive.
        let event = Owned {
            ptr: sys::rd_kafka_queue_poll(queue.ptr, millis.saturating_add(1_000)),
            destroy: sys::rd_kafka_event_destroy,
        };
        if event.ptr.is_null() {
            return Err(RDKafkaErrorCode::OperationTimedOut);
        }
        check(sys::rd_kafka_event_error(event.ptr))?;
        let mut count = 0;
        let result = sys::rd_kafka_event_DescribeTopics_result(event.ptr);
        let descriptions = sys::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        if count != 1 {
            return Err(RDKafkaErrorCode::BadMessage);
        }
        read_description(*descriptions)
    }
}

/// # Safety
/// `description` must come from an event that is still there.
unsafe fn read_description(
    description: *const sys::rd_kafka_TopicDescription_t,
) -> Result<Description, RDKafkaErrorCode> {
    // SAFETY: all accessors borrow from `description`; the arrays hold as many entries as they say.
    unsafe {
        check(sys::rd_kafka_error_code(sys::rd_kafka_TopicDescription_error(description)))?;
        let id = sys::rd_kafka_TopicDescription_topic_id(description);
        let high = sys::rd_kafka_Uuid_most_significant_bits(id).cast_unsigned();
        let low = sys::rd_kafka_Uuid_least_significant_bits(id).cast_unsigned();
        let mut partitions = 0;
        let entries = sys::rd_kafka_TopicDescription_partitions(description, &mut partitions);
        let (mut replicas, mut led) = (usize::MAX, true);
        for i in 0..partitions {
            let mut count = 0;
            sys::rd_kafka_TopicPartitionInfo_replicas(*entries.add(i), &mut count);
            replicas = replicas.min(count);
            led &= !sys::rd_kafka_TopicPartitionInfo_leader(*entries.add(i)).is_null();
        }
        Ok(Description {
            id: TopicId(Uuid::from_u64_pair(high, low)),
            partitions: u32::try_from(partitions).unwrap_or(u32::MAX),
            replicas: if partitions == 0 { 0 } else { u32::try_from(replicas).unwrap_or(u32::MAX) },
            led,
        })
    }
}

fn check(code: sys::rd_kafka_resp_err_t) -> Result<(), RDKafkaErrorCode> {
    match code {
        sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
        code => Err(code.into()),
    }
}

#[derive(Default)]
struct Signal {
    raised: Mutex<bool>,
    changed: Condvar,
}

/// Tells when a client's main queue has events. The crate's `BaseProducer::poll` waits its whole timeout, event or not; this waits
/// on the queue, so that an acknowledgement is seen when it comes. It must be dropped before its client.
pub(super) struct Wakeup {
    queue: Owned<sys::rd_kafka_queue_t>,
    signal: Arc<Signal>,
}

// SAFETY: librdkafka's queues may be used from any thread, and `Signal` is shared through its mutex.
unsafe impl Send for Wakeup {}

unsafe extern "C" fn raise(_: *mut sys::rd_kafka_t, signal: *mut c_void) {
    // SAFETY: `signal` is the `Signal` that `Wakeup` keeps alive until it has taken the callback away.
    let signal = unsafe { &*signal.cast::<Signal>() };
    *signal.raised.lock().unwrap_or_else(PoisonError::into_inner) = true;
    signal.changed.notify_one();
}

impl Wakeup {
    pub(super) fn new<C: ClientContext>(client: &Client<C>) -> Self {
        let signal = Arc::new(Signal::default());
        // SAFETY: the queue is the client's own, counted by its handle; `signal` outlives the callback (see `drop`).
        let queue = unsafe {
            let queue = sys::rd_kafka_queue_get_main(client.native_ptr());
            sys::rd_kafka_queue_cb_event_enable(queue, Some(raise), Arc::as_ptr(&signal).cast_mut().cast());
            Owned { ptr: queue, destroy: sys::rd_kafka_queue_destroy }
        };
        Self { queue, signal }
    }

    /// How many events wait to be polled.
    pub(super) fn waiting(&self) -> usize {
        // SAFETY: the handle is alive.
        unsafe { sys::rd_kafka_queue_length(self.queue.ptr) }
    }

    /// Returns when there are events, or after `timeout`.
    pub(super) fn wait(&self, timeout: Duration) {
        let lock = || self.signal.raised.lock().unwrap_or_else(PoisonError::into_inner);
        *lock() = false;
        // Not under the lock: librdkafka calls `raise` with its queue locked, and asking for the length locks the queue.
        if self.waiting() == 0 {
            drop(self.signal.changed.wait_timeout_while(lock(), timeout, |raised| !*raised));
        }
    }
}

impl Drop for Wakeup {
    fn drop(&mut self) {
        // SAFETY: the handle is alive; once this returns, librdkafka calls back no more.
        unsafe { sys::rd_kafka_queue_cb_event_enable(self.queue.ptr, None, std::ptr::null_mut()) }
    }
}

/// Why a client can't be used any more, as librdkafka would say it after a real fatal error.
#[cfg(test)]
pub(super) fn plant_fatal_error<C: ClientContext>(client: &Client<C>, reason: &std::ffi::CStr) {
    // SAFETY: the client outlives the call and the reason is copied.
    unsafe {
        sys::rd_kafka_test_fatal_error(
            client.native_ptr(),
            sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
            reason.as_ptr(),
        );
    }
}
