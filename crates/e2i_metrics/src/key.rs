//! What a place of the board stands for.

use bytemuck::{Pod, Zeroable};

/// Which function was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Function {
    /// Loading a model, for whichever function.
    Load = 1,
    /// `e2i_predict`.
    Predict,
    /// `e2i_predict_label`.
    Label,
    /// `e2i_predict_proba`.
    Probabilities,
    /// `e2i_predict_vector`.
    Vector,
    /// `e2i_predict_pinned`.
    Pinned,
    /// `e2i_serve`.
    Serve,
    /// A shadow that scores beside, whatever was called.
    Shadow,
    /// `e2i_predict_interval`.
    Interval,
    /// `e2i_predict_set`.
    Set,
    /// `e2i_predict_calibrated` and `e2i_predict_calibrated_proba`.
    Calibrated,
}

impl Function {
    const ALL: [(Self, &'static str); 11] = [
        (Self::Load, "load"),
        (Self::Predict, "e2i_predict"),
        (Self::Label, "e2i_predict_label"),
        (Self::Probabilities, "e2i_predict_proba"),
        (Self::Vector, "e2i_predict_vector"),
        (Self::Pinned, "e2i_predict_pinned"),
        (Self::Serve, "e2i_serve"),
        (Self::Shadow, "shadow"),
        (Self::Interval, "e2i_predict_interval"),
        (Self::Set, "e2i_predict_set"),
        (Self::Calibrated, "e2i_predict_calibrated"),
    ];

    /// The function's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(function, _)| *function == self).map_or("", |(_, name)| name)
    }
}

/// Which engine scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Scorer {
    /// None: the model was not found.
    None = 0,
    /// The native engine.
    Native,
    /// ONNX Runtime.
    Runtime,
}

impl Scorer {
    const ALL: [(Self, &'static str); 3] = [(Self::None, ""), (Self::Native, "native"), (Self::Runtime, "onnxruntime")];

    /// The engine of that name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self::ALL.iter().find(|(_, known)| *known == name).map_or(Self::None, |(scorer, _)| *scorer)
    }
}

/// A name of at most 255 bytes; longer ones are cut.
#[derive(Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Name {
    bytes: [u8; 256],
}

impl Name {
    /// The name, cut where it is too long.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut bytes = [0; 256];
        let length = text.floor_char_boundary(255);
        bytes[0] = length as u8;
        bytes[1..=length].copy_from_slice(&text.as_bytes()[..length]);
        Self { bytes }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(self.as_bytes()).unwrap_or("")
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[1..=usize::from(self.bytes[0])]
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_str().fmt(f)
    }
}

/// Who served what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
// Aligned for `words`.
#[repr(C, align(8))]
pub struct Key {
    /// The database, by its number.
    pub database: u32,
    function: u8,
    scorer: u8,
    unused: [u8; 2],
    /// Identity of the version; zeros where none was found.
    pub model: [u8; 16],
    /// The service that was called; empty for a version called by its name.
    pub service: Name,
    /// `name:version`; empty where none was found.
    pub reference: Name,
}

impl Key {
    /// Numbers in a key.
    pub(crate) const WORDS: usize = size_of::<Self>() / size_of::<u64>();

    /// What one function does with one version for one service.
    #[must_use]
    pub fn new(
        database: u32,
        function: Function,
        scorer: Scorer,
        model: [u8; 16],
        service: &str,
        reference: &str,
    ) -> Self {
        let (service, reference) = (Name::new(service), Name::new(reference));
        Self { database, function: function as u8, scorer: scorer as u8, unused: [0; 2], model, service, reference }
    }

    /// The function's name.
    #[must_use]
    pub fn function(&self) -> &'static str {
        Function::ALL.iter().find(|(function, _)| *function as u8 == self.function).map_or("", |(_, name)| name)
    }

    /// Whether the function is this one.
    #[must_use]
    pub fn is(&self, function: Function) -> bool {
        self.function == function as u8
    }

    /// The engine's name; empty where no model was found.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        Scorer::ALL.iter().find(|(scorer, _)| *scorer as u8 == self.scorer).map_or("", |(_, name)| name)
    }

    /// The same version and engine, whatever it was called for; a shadow stays one.
    #[must_use]
    pub fn version(&self) -> Self {
        let function = if self.is(Function::Shadow) { Function::Shadow } else { Function::Predict };
        Self { function: function as u8, service: Name::new(""), ..*self }
    }

    /// A number that differs between keys, hardly ever by chance not.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.words().iter().fold(0xcbf2_9ce4_8422_2325, |sum: u64, word| (sum ^ word).wrapping_mul(0x0100_0000_01b3))
    }

    /// What tells the key from others of its database, in few bytes.
    #[must_use]
    pub fn short(&self) -> Vec<u8> {
        let (service, reference) = (self.service.as_bytes(), self.reference.as_bytes());
        let mut bytes = vec![self.function, self.scorer, self.service.bytes[0]];
        [&self.model[..], service, reference].into_iter().for_each(|part| bytes.extend_from_slice(part));
        bytes
    }

    pub(crate) fn words(&self) -> &[u64] {
        bytemuck::cast_slice(bytemuck::bytes_of(self))
    }

    pub(crate) fn from_words(words: &[u64; Self::WORDS]) -> Self {
        bytemuck::must_cast(*words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_one_whatever_it_was_called_for() {
        let key = |function, scorer, service| Key::new(1, function, scorer, [7; 16], service, "churn:1").version();
        let plain = key(Function::Load, Scorer::Native, "");
        assert_eq!(key(Function::Label, Scorer::Native, "churn"), plain);
        assert_ne!(key(Function::Label, Scorer::Runtime, "churn"), plain, "engines are compared");
        let shadow = key(Function::Shadow, Scorer::Native, "churn");
        assert!(shadow != plain && shadow.is(Function::Shadow));
        assert_eq!(key(Function::Shadow, Scorer::Native, ""), shadow);
    }

    #[test]
    fn a_key_is_words_wherever_it_lies() {
        let key = Key::new(1, Function::Predict, Scorer::Native, [7; 16], "", "churn:1");
        let pairs = [(1u32, key), (2, key)];
        assert!(pairs.iter().all(|(_, key)| key.words().len() == Key::WORDS && key.number() == pairs[0].1.number()));
    }

    #[test]
    fn no_two_keys_of_a_database_are_short_for_the_same() {
        let key = |function, service, reference| Key::new(1, function, Scorer::Native, [7; 16], service, reference);
        let keys = [
            key(Function::Predict, "churn", "churn:1"),
            key(Function::Label, "churn", "churn:1"),
            key(Function::Predict, "", "churn:1"),
            key(Function::Predict, "churnc", "hurn:1"),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert!(keys[index + 1..].iter().all(|other| other.short() != key.short()));
        }
    }
}
