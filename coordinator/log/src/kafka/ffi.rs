//! What librdkafka can and its Rust crate does not offer: topic ids, topics that are looked up once, waiting for a producer's events without
//! spinning, and (tests) a planted fatal error. Besides the clock the only unsafe code of this crate; nothing here decides anything.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};
use rdkafka::producer::ProducerContext;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::util::IntoOpaque;
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

/// A topic as one client knows it: found once, where a name is looked for under the client's lock with each record. It must be dropped before
/// its client.
pub(super) struct Topic(Owned<sys::rd_kafka_topic_t>);

// SAFETY: librdkafka's topics may be used from any thread.
unsafe impl Send for Topic {}
// SAFETY: as above.
unsafe impl Sync for Topic {}

impl Topic {
    /// None: that is no name of a topic.
    pub(super) fn of<C: ClientContext>(client: &Client<C>, name: &str) -> Option<Self> {
        let name = CString::new(name).ok()?;
        // SAFETY: the client outlives this call; the name is copied, and no configuration is given.
        let ptr = unsafe { sys::rd_kafka_topic_new(client.native_ptr(), name.as_ptr(), std::ptr::null_mut()) };
        (!ptr.is_null()).then_some(Self(Owned { ptr, destroy: sys::rd_kafka_topic_destroy }))
    }

    pub(super) fn name(&self) -> String {
        // SAFETY: the name is the topic's own, and copied before the topic can go.
        unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(self.0.ptr)) }.to_string_lossy().into_owned()
    }
}

/// A record's headers as librdkafka keeps them. Null where there are none.
pub(super) struct Headers(Owned<sys::rd_kafka_headers_t>);

// SAFETY: nobody else has them.
unsafe impl Send for Headers {}

impl Headers {
    pub(super) fn of(headers: &[(String, Vec<u8>)]) -> Self {
        let mut owned = Owned { ptr: std::ptr::null_mut(), destroy: sys::rd_kafka_headers_destroy };
        if headers.is_empty() {
            return Self(owned);
        }
        // SAFETY: names and values are copied; slices are no longer than an `isize` counts.
        unsafe {
            owned.ptr = sys::rd_kafka_headers_new(headers.len());
            for (name, value) in headers {
                let (length, size) = (name.len().cast_signed(), value.len().cast_signed());
                sys::rd_kafka_header_add(owned.ptr, name.as_ptr().cast(), length, value.as_ptr().cast(), size);
            }
        }
        Self(owned)
    }
}

/// Queues a record, which is copied; an empty key is none. The client's context hears of its outcome, and is given `errand`.
///
/// # Errors
/// When it is not queued: nothing will be heard, the errand is given back, the headers are still the caller's.
pub(super) fn produce<C, E>(
    client: &Client<C>,
    (topic, partition): (&Topic, i32),
    (key, value): (&[u8], &[u8]),
    headers: &mut Headers,
    errand: Box<E>,
) -> Result<(), (RDKafkaErrorCode, Box<E>)>
where
    C: ProducerContext<DeliveryOpaque = Box<E>>,
    E: Send + Sync + 'static,
{
    use sys::rd_kafka_vtype_t as Field;
    let opaque = errand.into_ptr();
    let key_start = if key.is_empty() { std::ptr::null() } else { key.as_ptr() };
    // SAFETY: client and topic outlive the call, which copies what the pointers of key and value lead to; the fields have the types that
    // `rd_kafka_producev` names for them; headers and errand are librdkafka's once it has taken the record, and ours again else.
    unsafe {
        let code = sys::rd_kafka_producev(
            client.native_ptr(),
            Field::RD_KAFKA_VTYPE_RKT,
            topic.0.ptr,
            Field::RD_KAFKA_VTYPE_PARTITION,
            partition,
            Field::RD_KAFKA_VTYPE_MSGFLAGS,
            sys::RD_KAFKA_MSG_F_COPY,
            Field::RD_KAFKA_VTYPE_VALUE,
            value.as_ptr(),
            value.len(),
            Field::RD_KAFKA_VTYPE_KEY,
            key_start,
            key.len(),
            Field::RD_KAFKA_VTYPE_OPAQUE,
            opaque,
            Field::RD_KAFKA_VTYPE_HEADERS,
            headers.0.ptr,
            Field::RD_KAFKA_VTYPE_END,
        );
        match check(code) {
            Ok(()) => {
                headers.0.ptr = std::ptr::null_mut();
                Ok(())
            }
            Err(code) => Err((code, Box::<E>::from_ptr(opaque))),
        }
    }
}

/// Counts what has happened, and wakes who waits for it: nobody is asked of the system's while nobody does.
#[derive(Default)]
struct Signal {
    state: Mutex<Happened>,
    changed: Condvar,
}

#[derive(Default)]
struct Happened {
    count: u64,
    waiting: usize,
}

impl Signal {
    fn state(&self) -> MutexGuard<'_, Happened> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn raise(&self) {
        let mut state = self.state();
        state.count += 1;
        if state.waiting > 0 {
            self.changed.notify_all();
        }
    }

    fn wait(&self, mark: u64, timeout: Duration) {
        let mut state = self.state();
        state.waiting += 1;
        let waited = self.changed.wait_timeout_while(state, timeout, |state| state.count == mark);
        waited.unwrap_or_else(PoisonError::into_inner).0.waiting -= 1;
    }
}

/// Tells when a client's main queue has events. The crate's `BaseProducer::poll` waits its whole timeout, event or not; this waits
/// on the queue, so that an acknowledgement is seen when it comes. It must be dropped before its client.
pub(super) struct Wakeup {
    queue: Owned<sys::rd_kafka_queue_t>,
    signal: Arc<Signal>,
}

// SAFETY: librdkafka's queues may be used from any thread, and `Signal` is shared through its mutex.
unsafe impl Send for Wakeup {}
// SAFETY: as above.
unsafe impl Sync for Wakeup {}

unsafe extern "C" fn raise(_: *mut sys::rd_kafka_t, signal: *mut c_void) {
    // SAFETY: `signal` is the `Signal` that `Wakeup` keeps alive until it has taken the callback away.
    let signal = unsafe { &*signal.cast::<Signal>() };
    signal.raise();
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

    /// What `wait` compares with.
    pub(super) fn mark(&self) -> u64 {
        self.signal.state().count
    }

    /// Wakes all who wait.
    pub(super) fn raise(&self) {
        self.signal.raise();
    }

    /// Returns when there are events, when there were any or somebody has raised since `mark`, or after `timeout`.
    pub(super) fn wait(&self, mark: u64, timeout: Duration) {
        // Not under the lock: librdkafka calls `raise` with its queue locked, and asking for the length locks the queue.
        if self.waiting() == 0 {
            self.signal.wait(mark, timeout);
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
pub(super) fn plant_fatal_error<C: ClientContext>(client: &Client<C>, reason: &CStr) {
    // SAFETY: the client outlives the call and the reason is copied.
    unsafe {
        sys::rd_kafka_test_fatal_error(
            client.native_ptr(),
            sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
            reason.as_ptr(),
        );
    }
}
