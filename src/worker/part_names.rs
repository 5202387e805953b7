//! The hostnames of a part.

use super::part::emptied;

/// Hostnames by number, one behind the other.
#[derive(Debug, Default)]
pub struct PartNames {
    text: String,
    /// Where each ends in the text.
    ends: Vec<u32>,
}

impl PartNames {
    /// None, with room for as many; see [`emptied`].
    pub(super) fn emptied(self, left: &mut usize) -> PartNames {
        PartNames {
            text: emptied(self.text.into_bytes(), left).try_into().unwrap_or_default(),
            ends: emptied(self.ends, left),
        }
    }

    /// Adds a name, and answers its number. Their bytes are bounded: a worker holds
    /// [`crate::usage::NAMES_MAX`] names and some, of at most 253 bytes.
    pub fn push(&mut self, name: &str) -> u32 {
        let number = self.ends.len() as u32;
        self.text.push_str(name);
        self.ends.push(self.text.len() as u32);
        number
    }

    /// The name with a number that [`PartNames::push`] gave.
    pub fn get(&self, number: u32) -> &str {
        let number = number as usize;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start as usize..self.ends[number] as usize]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All of them, by number.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len() as u32).map(|number| self.get(number))
    }
}
