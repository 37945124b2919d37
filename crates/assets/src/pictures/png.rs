use super::{DAMAGED, Kept, NOT_ALONE, Reader, Result};

const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
/// What is needed to show a picture or an animation in its colours.
const NEEDED: [&[u8; 4]; 16] = [
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP",
    b"sBIT", b"pHYs", b"bKGD", b"acTL", b"fcTL", b"fdAT",
];

pub(super) fn keep(content: &[u8]) -> Result<Kept> {
    let mut reader = Reader::new(content);
    if reader.array()? != SIGNATURE {
        return Err(DAMAGED);
    }
    let (mut kept, mut frames) = (SIGNATURE.to_vec(), 0);
    loop {
        let length = reader.array()?;
        let kind: [u8; 4] = reader.array()?;
        let size = usize::try_from(u32::from_be_bytes(length)).map_err(|_| DAMAGED)?;
        // Its content and its checksum.
        let body = reader.take(size.checked_add(4).ok_or(DAMAGED)?)?;
        if NEEDED.contains(&&kind) {
            kept.extend(length);
            kept.extend(kind);
            kept.extend(body);
        } else if kind[0].is_ascii_uppercase() {
            return Err(DAMAGED);
        }
        frames += usize::from(kind == *b"fcTL");
        if kind == *b"IEND" {
            if size > 0 {
                return Err(NOT_ALONE);
            }
            break;
        }
    }
    if reader.left.is_empty() { Ok(Kept { content: kept, frames }) } else { Err(NOT_ALONE) }
}
