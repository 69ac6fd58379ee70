//! What travels as an operation's input or result: JSON by serde, described by an Avro schema. `payload!` declares a struct with both.

use std::collections::BTreeMap;

use sagaline_schemas::wire::Named;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

/// A type that contracts can speak of.
pub trait Payload: Serialize + DeserializeOwned + Send + 'static {
    /// Whether a record may leave it out.
    const OPTIONAL: bool = false;

    /// Its Avro schema. A named type is spelled out where it is met first and named after that.
    fn schema(named: &mut Named) -> Json;
}

macro_rules! primitive {
    ($($type:ty: $name:literal,)*) => {$(
        impl Payload for $type {
            fn schema(_: &mut Named) -> Json {
                json!($name)
            }
        }
    )*};
}

primitive! { bool: "boolean", i32: "int", i64: "long", f64: "double", String: "string", }

impl<T: Payload> Payload for Option<T> {
    const OPTIONAL: bool = true;
    fn schema(named: &mut Named) -> Json {
        json!(["null", T::schema(named)])
    }
}

impl<T: Payload> Payload for Vec<T> {
    fn schema(named: &mut Named) -> Json {
        json!({"type": "array", "items": T::schema(named)})
    }
}

impl<T: Payload> Payload for BTreeMap<String, T> {
    fn schema(named: &mut Named) -> Json {
        json!({"type": "map", "values": T::schema(named)})
    }
}

/// The result of an operation that has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Nothing;

impl Payload for Nothing {
    fn schema(_: &mut Named) -> Json {
        json!("null")
    }
}

/// A record's field, for `payload!`.
#[doc(hidden)]
pub fn field<T: Payload>(named: &mut Named, name: &str, docs: &[&str]) -> Json {
    let mut field = json!({"name": name.strip_prefix("r#").unwrap_or(name), "type": T::schema(named)});
    if T::OPTIONAL {
        field["default"] = Json::Null;
    }
    describe(field, docs)
}

/// A record, for `payload!`.
#[doc(hidden)]
pub fn record(name: &str, docs: &[&str], fields: Vec<Json>) -> Json {
    describe(json!({"type": "record", "name": name, "fields": fields}), docs)
}

fn describe(mut schema: Json, docs: &[&str]) -> Json {
    if !docs.is_empty() {
        schema["doc"] = Json::String(sagaline_schemas::declare::doc(docs));
    }
    schema
}

/// Declares structs that are payloads: serde's JSON, and an Avro record with the doc comments as Avro docs. Needs `serde` among the dependencies.
///
/// ```
/// sagaline_participant::payload! {
///     /// Money to be taken from an account.
///     pub struct Charge {
///         /// Whose.
///         pub account: String,
///         /// How much, in cents.
///         pub amount: i64,
///         /// For people.
///         pub note: Option<String>,
///     }
/// }
/// let charge: Charge = serde_json::from_str(r#"{"account": "alice", "amount": 500}"#)?;
/// assert_eq!((charge.amount, charge.note), (500, None));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[macro_export]
macro_rules! payload {
    ($($(#[doc = $doc:literal])* pub struct $name:ident {
        $($(#[doc = $field_doc:literal])* pub $field:ident: $type:ty,)*
    })*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        pub struct $name {
            $($(#[doc = $field_doc])* pub $field: $type,)*
        }

        impl $crate::Payload for $name {
            fn schema(named: &mut $crate::Named) -> $crate::Json {
                named.once(stringify!($name), |named| {
                    let fields = vec![$($crate::field::<$type>(named, stringify!($field), &[$($field_doc),*]),)*];
                    $crate::record(stringify!($name), &[$($doc),*], fields)
                })
            }
        }
    )*};
}

payload! {
    /// Names an effect: the input of an operation that tells what became of it.
    pub struct EffectKey {
        /// The effect's id.
        pub effect_id: String,
    }
}
