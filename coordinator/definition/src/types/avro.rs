//! From Avro schemas in JSON to types. A type says what plain JSON carries: bytes, fixed and enums are text, unions are not wrapped.

use std::collections::BTreeMap;

use sagaline_schemas::Value;

use super::Type;

/// Why something is no Avro schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct SchemaError {
    /// Where in the named type: `Charge.card.number`.
    pub path: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Type {
    /// The named type among Avro schemas in JSON; none: not there, or not a schema.
    pub fn from_avro(name: &str, types: &BTreeMap<String, Value>) -> Option<Self> {
        Self::read_avro(name, types).ok()
    }

    /// The named type among Avro schemas in JSON. A type inside itself counts as `Any` there.
    ///
    /// # Errors
    /// When there is none of that name, or it is no Avro schema.
    pub fn read_avro(name: &str, types: &BTreeMap<String, Value>) -> Result<Self, SchemaError> {
        let mut named = BTreeMap::new();
        for (key, schema) in types {
            named.insert(key.as_str(), schema);
            gather(schema, &mut named);
        }
        Reading { named, open: Vec::new(), path: Vec::new() }.reference(name)
    }
}

/// Finds the types that a schema names inside itself. Schemas are as deep as JSON may be: 128 levels.
fn gather<'a>(schema: &'a Value, named: &mut BTreeMap<&'a str, &'a Value>) {
    match schema {
        Value::Map(map) => {
            if let (Some(Value::String(name)), Some(Value::String(kind))) = (map.get("name"), map.get("type"))
                && matches!(kind.as_str(), "record" | "enum" | "fixed" | "error")
            {
                named.entry(name).or_insert(schema);
            }
            map.iter().filter(|(key, _)| *key != "default").for_each(|(_, inner)| gather(inner, named));
        }
        Value::List(items) => items.iter().for_each(|inner| gather(inner, named)),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => {}
    }
}

struct Reading<'a> {
    named: BTreeMap<&'a str, &'a Value>,
    /// Named types around the one being read.
    open: Vec<&'a str>,
    path: Vec<String>,
}

impl<'a> Reading<'a> {
    fn error<T>(&self, message: impl Into<String>) -> Result<T, SchemaError> {
        Err(SchemaError { path: self.path.join("."), message: message.into() })
    }

    fn reference(&mut self, name: &str) -> Result<Type, SchemaError> {
        let short = name.rsplit('.').next().unwrap_or(name);
        let found = [name, short].into_iter().find_map(|name| self.named.get_key_value(name));
        let Some((&key, &schema)) = found else {
            let hint = crate::spelling::closest(name, self.named.keys().copied());
            let hint = hint.map_or(String::new(), |other| format!("; did you mean `{other}`?"));
            return self.error(format!("there is no type `{name}`{hint}"));
        };
        if self.open.contains(&key) {
            return Ok(Type::Any);
        }
        self.open.push(key);
        let outer = self.path.is_empty();
        if outer {
            self.path.push(key.to_owned());
        }
        let found = self.schema(schema, Some(key));
        self.open.pop();
        found
    }

    fn schema(&mut self, schema: &'a Value, known_as: Option<&str>) -> Result<Type, SchemaError> {
        match schema {
            Value::String(name) => match primitive(name) {
                Some(found) => Ok(found),
                None => self.reference(name),
            },
            Value::List(branches) => self.union(branches),
            Value::Map(map) => self.full(map, known_as),
            other => self.error(format!("a schema is a name, a list or a map, not {}", other.kind())),
        }
    }

    fn union(&mut self, branches: &'a [Value]) -> Result<Type, SchemaError> {
        let mut found: Option<Type> = None;
        for branch in branches {
            let branch = self.schema(branch, None)?;
            found = Some(found.map_or(branch.clone(), |found| found.join(branch)));
        }
        found.map_or_else(|| self.error("a union needs a branch"), Ok)
    }

    fn full(&mut self, map: &'a BTreeMap<String, Value>, known_as: Option<&str>) -> Result<Type, SchemaError> {
        let Some(kind) = map.get("type") else { return self.error("a schema needs a `type`") };
        let Value::String(kind) = kind else { return self.schema(kind, known_as) };
        match kind.as_str() {
            "record" | "error" => self.record(map, known_as),
            "enum" => match map.get("symbols") {
                Some(Value::List(_)) => Ok(Type::String),
                _ => self.error("an enum needs a list of `symbols`"),
            },
            "fixed" => match map.get("size") {
                Some(Value::Int(1..)) => Ok(Type::String),
                _ => self.error("a fixed needs a `size`"),
            },
            "array" => match map.get("items") {
                Some(items) => self.schema(items, None).map(|item| Type::List(Box::new(item))),
                None => self.error("an array needs `items`"),
            },
            "map" => match map.get("values") {
                Some(values) => self.schema(values, None).map(|value| Type::Map(Box::new(value))),
                None => self.error("a map needs `values`"),
            },
            name => self
                .schema(map.get("type").expect("it was found above"), known_as)
                .map(|found| logical(name, map, found)),
        }
    }

    fn record(&mut self, map: &'a BTreeMap<String, Value>, known_as: Option<&str>) -> Result<Type, SchemaError> {
        let Some(Value::List(fields)) = map.get("fields") else {
            return self.error("a record needs a list of `fields`");
        };
        let own_name = match map.get("name") {
            Some(Value::String(name)) => Some(name.as_str()),
            _ => None,
        };
        let name = own_name.or(known_as).unwrap_or_default().to_owned();
        let open = own_name
            .and_then(|own| self.named.get_key_value(own))
            .map(|(&key, _)| key)
            .filter(|key| !self.open.contains(key));
        self.open.extend(open);
        let mut members = BTreeMap::new();
        for field in fields {
            let (Some(Value::String(field_name)), Some(schema)) = (field.get("name"), field.get("type")) else {
                return self.error("a field needs a `name` and a `type`");
            };
            self.path.push(field_name.clone());
            let found = self.field(field, schema)?;
            self.path.pop();
            if members.insert(field_name.clone(), found).is_some() {
                return self.error(format!("the field `{field_name}` stands twice"));
            }
        }
        self.open.truncate(self.open.len() - usize::from(open.is_some()));
        Ok(Type::Record(name, members))
    }

    /// Writers may leave out what has a default.
    fn field(&mut self, field: &'a Value, schema: &'a Value) -> Result<Type, SchemaError> {
        // `{name: x, type: array, items: ..}`: the short form that people write by hand.
        let inline = matches!(schema, Value::String(kind) if matches!(kind.as_str(), "array" | "map" | "record" | "enum" | "fixed"));
        let found = self.schema(if inline { field } else { schema }, None)?;
        Ok(if field.get("default").is_some() { found.or_null() } else { found })
    }
}

fn primitive(name: &str) -> Option<Type> {
    Some(match name {
        "null" => Type::Null,
        "boolean" => Type::Bool,
        "int" | "long" => Type::Int,
        "float" | "double" => Type::Float,
        "bytes" | "string" => Type::String,
        _ => return None,
    })
}

/// Dates and times travel as the numbers that carry them, decimals and uuids as text.
fn logical(carrier: &str, map: &BTreeMap<String, Value>, found: Type) -> Type {
    match (carrier, map.get("logicalType")) {
        ("bytes" | "fixed", Some(Value::String(kind))) if kind == "decimal" => Type::String,
        _ => found,
    }
}
