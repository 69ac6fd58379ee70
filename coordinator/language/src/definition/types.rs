//! Types that a definition names: its own, those of a contract, and Avro's simple ones.

use sagaline_definition::types::Type;

use super::world::World;
use crate::fields::{self, did_you_mean, or_else};
use crate::report::Problems;
use crate::yaml::Node;

/// `NAME` of the definition's own `types`, `PARTICIPANT.NAME` of a contract, or a simple type such as `string`. None: there is none;
/// reported, unless that was done where the types are declared.
pub fn read(node: &Node, world: &World<'_>, problems: &mut Problems) -> Option<Type> {
    let written = fields::text(node, "`type`", problems)?;
    let (types, name) = match written.split_once('.') {
        Some((participant, name)) => (&world.used.contract(participant, node.span, problems)?.types, name),
        None => match simple(written) {
            Some(found) => return Some(found),
            None => (world.types.as_ref()?, written),
        },
    };
    let found = Type::from_avro(name, types);
    if found.is_none() {
        let names: Vec<&String> = types.keys().collect();
        let help = or_else(did_you_mean(name, &names), "declare it under `types`; a contract's is PARTICIPANT.TYPE");
        problems.error(node.span, format!("there is no type `{written}`"), help);
    }
    found
}

/// The same for a key that may be missing; `Any` then.
pub fn optional(node: Option<&Node>, world: &World<'_>, problems: &mut Problems) -> Option<Type> {
    node.map_or(Some(Type::Any), |node| read(node, world, problems))
}

fn simple(name: &str) -> Option<Type> {
    Some(match name {
        "boolean" => Type::Bool,
        "int" | "long" => Type::Int,
        "float" | "double" => Type::Float,
        "string" => Type::String,
        _ => return None,
    })
}
