//! A participant: its name, its operations, their handlers. Declared in one expression, checked as a whole before it runs or prints its contract.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sagaline_log::Log;
use sagaline_schemas::command::Command;
use sagaline_schemas::record::Kind;

use crate::contract::{ContractErrors, PayloadType};
use crate::effects::{Idempotence, Promise, Store, Transaction};
use crate::handler::{
    Effect, HandlerError, Known, Work, compensation, handler, transaction_compensation, transaction_handler,
};
use crate::payload::{EffectKey, Payload};

/// A service that takes part in sagas.
pub struct Participant {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) owner: String,
    pub(crate) in_flight: Option<u32>,
    pub(crate) rate: Option<u32>,
    /// In the order of declaration.
    pub(crate) operations: Vec<Operation>,
}

pub(crate) struct Operation {
    pub name: String,
    pub input: PayloadType,
    pub output: PayloadType,
    pub refuses: Vec<String>,
    pub refuses_for_good: Arc<[String]>,
    pub role: Role,
    pub work: Work,
}

/// What an operation is for.
pub(crate) enum Role {
    Do(Idempotence),
    Compensates(String),
    Probes(String),
    Reads,
}

/// What a command is to be met with.
pub(crate) struct Plan {
    pub promise: Promise,
    pub work: Work,
}

/// Where a participant runs.
pub struct Config {
    /// The log with commands and inboxes.
    pub log: Arc<dyn Log>,
    /// Where effects are remembered.
    pub store: Store,
    /// Before every topic's name; empty: none.
    pub prefix: String,
    /// This instance's name: the same after a restart, another one for another process.
    pub instance: String,
    /// Handlers that may run side by side.
    pub in_flight: usize,
    /// How long an effect is remembered after its latest command, log time. Longer than any saga's deadline, so that nothing is forgotten too early.
    pub retention: Duration,
}

impl Participant {
    /// A participant that can do nothing yet. Its commands lie in `commands.NAME`.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: String::new(),
            owner: String::new(),
            in_flight: None,
            rate: None,
            operations: Vec::new(),
        }
    }

    /// The contract's semantic version. Another contract needs another version.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// The team that runs it.
    #[must_use]
    pub fn owner(mut self, owner: &str) -> Self {
        owner.clone_into(&mut self.owner);
        self
    }

    /// How much it can take: commands without an answer, and commands a second.
    #[must_use]
    pub fn limits(mut self, in_flight: u32, rate: u32) -> Self {
        (self.in_flight, self.rate) = (Some(in_flight), Some(rate));
        self
    }

    /// An operation that changes the world.
    #[must_use]
    pub fn on<I, O, F, W>(self, name: &str, declared: Idempotence, handle: F) -> Self
    where
        I: Payload,
        O: Payload,
        F: Fn(I, Effect) -> W + Send + Sync + 'static,
        W: Future<Output = Result<O, HandlerError>> + Send + 'static,
    {
        self.operation::<I, O>(name, Role::Do(declared), Work::Alone(handler(handle)))
    }

    /// An operation that changes the business's database and nothing else, in the transaction in which its effect is recorded: both or neither, whatever
    /// dies or stalls. Only with a `PostgresStore`.
    ///
    ///     # use sagaline_participant::{Effect, HandlerError, Nothing, Participant, Transaction, sqlx};
    ///     # sagaline_participant::payload! {
    ///     #     /// Money.
    ///     #     pub struct Charge {
    ///     #         /// How much.
    ///     #         pub amount: i64,
    ///     #     }
    ///     # }
    ///     Participant::new("payment").on_transaction("charge", |charge: Charge, fx: Effect, mut transaction: Transaction| async move {
    ///         let taken = sqlx::query("UPDATE accounts SET balance = balance - $1 WHERE balance >= $1")
    ///             .bind(charge.amount)
    ///             .execute(&mut *transaction)
    ///             .await?;
    ///         if taken.rows_affected() == 0 {
    ///             return Err(HandlerError::refused("InsufficientFunds", fx.saga_name()));
    ///         }
    ///         Ok(Nothing)
    ///     });
    #[must_use]
    pub fn on_transaction<I, O, F, W>(self, name: &str, handle: F) -> Self
    where
        I: Payload,
        O: Payload,
        F: Fn(I, Effect, Transaction) -> W + Send + Sync + 'static,
        W: Future<Output = Result<O, HandlerError>> + Send + 'static,
    {
        let work = Work::InTransaction(transaction_handler(handle));
        self.operation::<I, O>(name, Role::Do(Idempotence::Transaction), work)
    }

    /// Codes by which the operation declared last refuses.
    #[must_use]
    pub fn refuses(mut self, codes: &[&str]) -> Self {
        if let Some(operation) = self.operations.last_mut() {
            operation.refuses.extend(codes.iter().map(|code| (*code).to_owned()));
        }
        self
    }

    /// As `refuses`, by codes that are never said of an effect that was done or may still be done.
    ///
    /// A handler of a `ByKey` operation that died may have done its work; if it is run again and then refuses, that alone proves nothing, and the
    /// answer is a failure. With one of these codes it is a refusal. For this to be true the handler looks the effect's id up **before** it looks for
    /// reasons to refuse, and no call of an earlier run can go through afterwards: either none outlives the process, or the business remembers the
    /// refusal under the effect's id.
    #[must_use]
    pub fn refuses_for_good(mut self, codes: &[&str]) -> Self {
        if let Some(operation) = self.operations.last_mut() {
            let known = operation.refuses_for_good.iter().cloned();
            operation.refuses_for_good = known.chain(codes.iter().map(|code| (*code).to_owned())).collect();
        }
        self.refuses(codes)
    }

    /// The operation that undoes `of`. It gets the input of `of`, and its result where that is known.
    ///
    /// It must be safe to repeat under the effect's id, work without the result, and close the id in the business: a call of `of` that is still
    /// under way must find it closed.
    #[must_use]
    pub fn compensate<I, K, O, F, W>(self, of: &str, name: &str, handle: F) -> Self
    where
        I: Payload,
        K: Payload,
        O: Payload,
        F: Fn(I, Known<K>, Effect) -> W + Send + Sync + 'static,
        W: Future<Output = Result<O, HandlerError>> + Send + 'static,
    {
        self.operation::<I, O>(name, Role::Compensates(of.to_owned()), Work::Alone(compensation(handle)))
    }

    /// As `compensate`, in the transaction in which the undoing is recorded. What `of` did in such a transaction needs no closed id: no call of it can
    /// land later.
    #[must_use]
    pub fn compensate_transaction<I, K, O, F, W>(self, of: &str, name: &str, handle: F) -> Self
    where
        I: Payload,
        K: Payload,
        O: Payload,
        F: Fn(I, Known<K>, Effect, Transaction) -> W + Send + Sync + 'static,
        W: Future<Output = Result<O, HandlerError>> + Send + 'static,
    {
        let work = Work::InTransaction(transaction_compensation(handle));
        self.operation::<I, O>(name, Role::Compensates(of.to_owned()), work)
    }

    /// The operation that tells what the business knows of an effect of `of`. It only reads.
    ///
    /// Whether the effect happened is answered by the effect store alone; this handler is asked for what it amounts to.
    #[must_use]
    pub fn probe<O, F, W>(self, of: &str, name: &str, handle: F) -> Self
    where
        O: Payload,
        F: Fn(EffectKey, Effect) -> W + Send + Sync + 'static,
        W: Future<Output = Result<O, HandlerError>> + Send + 'static,
    {
        self.operation::<EffectKey, O>(name, Role::Probes(of.to_owned()), Work::Alone(handler(handle)))
    }

    /// An operation that only reads.
    #[must_use]
    pub fn ask<I, O, F, W>(self, name: &str, handle: F) -> Self
    where
        I: Payload,
        O: Payload,
        F: Fn(I, Effect) -> W + Send + Sync + 'static,
        W: Future<Output = Result<O, HandlerError>> + Send + 'static,
    {
        self.operation::<I, O>(name, Role::Reads, Work::Alone(handler(handle)))
    }

    fn operation<I: Payload, O: Payload>(mut self, name: &str, role: Role, work: Work) -> Self {
        let (input, output) = (PayloadType::of::<I>(), PayloadType::of::<O>());
        let (name, refuses, refuses_for_good) = (name.to_owned(), Vec::new(), Arc::default());
        self.operations.push(Operation { name, input, output, refuses, refuses_for_good, role, work });
        self
    }

    /// The contract, as YAML: what a definition may rely on.
    ///
    /// # Errors
    /// All mistakes in the declaration at once.
    pub fn contract(&self) -> Result<String, ContractErrors> {
        crate::contract::check(self)?;
        Ok(crate::contract::print(self))
    }

    /// What a command is to be met with.
    ///
    /// # Errors
    /// When there is no such operation: the words for the answer.
    pub(crate) fn plan(&self, command: &Command) -> Result<Plan, String> {
        let operation = self.named(&command.operation).ok_or_else(|| self.unknown(command))?;
        let idempotence = match (command.address.kind, &operation.role) {
            (Kind::Do, Role::Do(declared)) => Some(*declared),
            (Kind::Compensate, Role::Compensates(of)) | (Kind::Probe, Role::Probes(of)) => self.declared(of),
            (Kind::Ask, Role::Probes(_) | Role::Reads) => Some(Idempotence::None),
            // A step that asks: its answer is remembered like any other, and what only reads may be run again.
            (Kind::Do, Role::Probes(_) | Role::Reads) => Some(Idempotence::ByKey),
            (Kind::Do, Role::Compensates(_))
            | (Kind::Compensate, Role::Do(_) | Role::Probes(_) | Role::Reads)
            | (Kind::Probe, Role::Do(_) | Role::Compensates(_) | Role::Reads)
            | (Kind::Ask, Role::Do(_) | Role::Compensates(_)) => None,
        };
        let idempotence = idempotence.ok_or_else(|| self.unknown(command))?;
        let promise = Promise { idempotence, refuses_for_good: Arc::clone(&operation.refuses_for_good) };
        Ok(Plan { promise, work: operation.work.clone() })
    }

    /// An operation that needs a store with transactions.
    pub(crate) fn in_transaction(&self) -> Option<&Operation> {
        self.operations.iter().find(|operation| matches!(operation.work, Work::InTransaction(_)))
    }

    fn unknown(&self, command: &Command) -> String {
        let kind = sagaline_schemas::hash::kind_name(command.address.kind);
        format!("{} {} has no operation {:?} to {kind}", self.name, self.version, command.operation)
    }

    fn named(&self, name: &str) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.name == name)
    }

    fn declared(&self, of: &str) -> Option<Idempotence> {
        match self.named(of)?.role {
            Role::Do(declared) => Some(declared),
            Role::Compensates(_) | Role::Probes(_) | Role::Reads => None,
        }
    }

    /// Operations by what they are for: `of` -> name.
    pub(crate) fn serving<'a>(
        &'a self,
        of: impl Fn(&'a Role) -> Option<&'a String>,
    ) -> BTreeMap<&'a str, Vec<&'a str>> {
        let mut serving: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for operation in &self.operations {
            if let Some(served) = of(&operation.role) {
                serving.entry(served).or_default().push(&operation.name);
            }
        }
        serving
    }
}

impl Role {
    pub(crate) fn compensates(&self) -> Option<&String> {
        match self {
            Self::Compensates(of) => Some(of),
            Self::Do(_) | Self::Probes(_) | Self::Reads => None,
        }
    }

    pub(crate) fn probes(&self) -> Option<&String> {
        match self {
            Self::Probes(of) => Some(of),
            Self::Do(_) | Self::Compensates(_) | Self::Reads => None,
        }
    }
}
