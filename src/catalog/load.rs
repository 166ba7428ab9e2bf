//! (being built)
use super::Catalog;
#[derive(Debug, thiserror::Error)]
#[error("load")]
pub struct LoadError;
pub fn load() -> Result<Catalog, LoadError> {
    Err(LoadError)
}
