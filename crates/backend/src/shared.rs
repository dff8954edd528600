//! Answers shared by all who ask for the same: one value for each key, as long as somebody has it.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, Weak};

use nsplice_sys::lock;

/// Values by their keys.
#[derive(Debug)]
pub(crate) struct Shared<K, V>(Mutex<Vec<(K, Weak<V>)>>);

impl<K: PartialEq, V> Shared<K, V> {
    /// None yet.
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// The value of `key`, made by `make` if nobody has one.
    pub(crate) fn of(&self, key: K, make: impl FnOnce() -> V) -> Arc<V> {
        match self.of_fallible(key, || Ok::<V, Infallible>(make())) {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// The same where it may be impossible to make one.
    ///
    /// # Errors
    /// Those of `make`.
    pub(crate) fn of_fallible<E>(
        &self,
        key: K,
        make: impl FnOnce() -> Result<V, E>,
    ) -> Result<Arc<V>, E> {
        let mut all = lock(&self.0);
        all.retain(|(_, value)| value.strong_count() > 0);
        let found = all.iter().find(|(each, _)| *each == key);
        if let Some(value) = found.and_then(|(_, value)| value.upgrade()) {
            return Ok(value);
        }
        let value = Arc::new(make()?);
        all.push((key, Arc::downgrade(&value)));
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shared_for_as_long_as_somebody_has_it() {
        let shared = Shared::new();
        let first = shared.of("a", || 1);
        assert_eq!(*shared.of("a", || 2), 1);
        assert_eq!(*shared.of("b", || 3), 3);
        drop(first);
        assert_eq!(*shared.of("a", || 2), 2);
        assert_eq!(lock(&shared.0).len(), 1);
    }

    #[test]
    fn what_cannot_be_made_is_tried_again() {
        let shared = Shared::new();
        assert_eq!(shared.of_fallible("a", || Err::<i32, _>("no")), Err("no"));
        let made = shared.of_fallible("a", || Ok::<_, &str>(1)).unwrap();
        assert_eq!(shared.of_fallible("a", || Err("not asked")), Ok(made));
    }
}
