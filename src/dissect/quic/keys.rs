//! The cryptography of Initials, behind three functions so that another library can take over.
//!
//! Only the client's keys are ever derived: a server's Initials tell no name.

use std::cell::OnceCell;
use std::sync::LazyLock;

use ring::aead;

use super::hkdf::Key;
use super::scheme::{CLIENT_LABEL, Scheme};

/// Bytes of ciphertext from which a header protection mask is made (RFC 9001, 5.4.2).
pub(super) const SAMPLE_LENGTH: usize = 16;

/// Keys that open a client's Initials (RFC 9001, 5).
pub(super) trait InitialKeys: Sized {
    /// The keys that a scheme makes of a connection id; `None` only if the library fails.
    fn derive(scheme: Scheme, connection_id: &[u8]) -> Option<Self>;

    /// The mask over the first byte and the packet number (RFC 9001, 5.4.3).
    fn header_mask(&self, sample: &[u8; SAMPLE_LENGTH]) -> Option<[u8; 5]>;

    /// Opens a payload in place and gives its clear text; `None` if the tag does not fit, after
    /// which `payload` holds nothing of use.
    fn open<'a>(
        &self,
        packet_number: u64,
        header: &[u8],
        payload: &'a mut [u8],
    ) -> Option<&'a mut [u8]>;
}

/// [`InitialKeys`] by `ring`'s AEAD.
pub(super) struct RingKeys {
    scheme: Scheme,
    client: Key,
    header: aead::quic::HeaderProtectionKey,
    /// Made when a header turns out to be one: what is not is a quarter cheaper.
    packet: OnceCell<Option<PacketKeys>>,
}

/// What opens payloads.
struct PacketKeys {
    key: aead::LessSafeKey,
    iv: [u8; aead::NONCE_LEN],
}

impl PacketKeys {
    fn derive(scheme: Scheme, client: &Key) -> Option<PacketKeys> {
        let labels = scheme.labels();
        let key: [u8; 16] = client.expand(labels.key);
        let iv = client.expand(labels.iv);
        let key = aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_128_GCM, &key).ok()?);
        Some(PacketKeys { key, iv })
    }
}

impl InitialKeys for RingKeys {
    fn derive(scheme: Scheme, connection_id: &[u8]) -> Option<RingKeys> {
        let initial = Key::new(&salt(scheme).tag(connection_id));
        let client = Key::new(&initial.expand::<32>(CLIENT_LABEL));
        let header: [u8; 16] = client.expand(scheme.labels().header);
        let header = aead::quic::HeaderProtectionKey::new(&aead::quic::AES_128, &header).ok()?;
        Some(RingKeys { scheme, client, header, packet: OnceCell::new() })
    }

    fn header_mask(&self, sample: &[u8; SAMPLE_LENGTH]) -> Option<[u8; 5]> {
        self.header.new_mask(sample).ok()
    }

    fn open<'a>(
        &self,
        packet_number: u64,
        header: &[u8],
        payload: &'a mut [u8],
    ) -> Option<&'a mut [u8]> {
        let derive = || PacketKeys::derive(self.scheme, &self.client);
        let packet = self.packet.get_or_init(derive).as_ref()?;
        let mut nonce = packet.iv;
        // RFC 9001, 5.3: the packet number, right-aligned, over the IV.
        for (byte, number) in nonce.iter_mut().rev().zip(packet_number.to_le_bytes()) {
            *byte ^= number;
        }
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        packet.key.open_in_place(nonce, aead::Aad::from(header), payload).ok()
    }
}

/// The salt as an HMAC key: made once, which saves an eighth of every derivation.
fn salt(scheme: Scheme) -> &'static Key {
    macro_rules! prepared {
        ($scheme:expr) => {{
            static SALT: LazyLock<Key> = LazyLock::new(|| Key::new($scheme.salt()));
            &SALT
        }};
    }
    match scheme {
        Scheme::V1 => prepared!(Scheme::V1),
        Scheme::V2 => prepared!(Scheme::V2),
        Scheme::V2Draft => prepared!(Scheme::V2Draft),
        Scheme::Draft29 => prepared!(Scheme::Draft29),
        Scheme::Draft23 => prepared!(Scheme::Draft23),
        Scheme::Draft22 => prepared!(Scheme::Draft22),
        Scheme::GoogleQ050 => prepared!(Scheme::GoogleQ050),
        Scheme::GoogleT050 => prepared!(Scheme::GoogleT050),
        Scheme::GoogleT051 => prepared!(Scheme::GoogleT051),
    }
}
