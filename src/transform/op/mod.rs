//! The catalogue of transforms (stub until the branch `ops` is merged).
use crate::transform::{Fault, Output, Value};
pub struct Op;
impl Op {
    pub fn apply(
        &self,
        _v: Value<'_>,
        _s: Option<&[u8]>,
        _o: &mut Vec<u8>,
    ) -> Result<Output, Fault> {
        Ok(Output::Same)
    }
}
