//! Just enough CMAF by hand: an initialisation segment and chunks of one picture and one sound.

pub(crate) fn init() -> Vec<u8> {
    init_of(&AVCC)
}

/// An initialisation segment whose decoder is set by an `avcC` record.
pub(crate) fn init_of(avcc: &[u8]) -> Vec<u8> {
    let mut visual = vec![0; 78];
    visual.extend(part(b"avcC", avcc));
    let video = track(1, b"vide", &part(b"avc1", &visual));
    let audio = track(2, b"soun", &part(b"Opus", &[0; 28]));
    let mut file = part(b"ftyp", b"cmfc\0\0\0\0");
    file.extend(part(b"moov", &[video, audio].concat()));
    file
}

pub(crate) fn chunk(picture: &[u8], sound: &[u8]) -> Vec<u8> {
    let moof_len = moof(0, picture.len(), sound.len()).len();
    let mut chunk = moof(moof_len + 8, picture.len(), sound.len());
    chunk.extend(part(b"mdat", &[picture, sound].concat()));
    chunk
}

fn moof(data: usize, picture: usize, sound: usize) -> Vec<u8> {
    let mut parts = part(b"mfhd", &words(&[0, 1]));
    for (track, offset, size) in [(1, data, picture), (2, data + picture, sound)] {
        if size > 0 {
            let tfhd = part(b"tfhd", &words(&[0x0002_0028, track, 3_000, 0]));
            let tfdt = part(b"tfdt", &words(&[0, 0]));
            let trun = part(b"trun", &words(&[0x201, 1, wide(offset), wide(size)]));
            parts.extend(part(b"traf", &[tfhd, tfdt, trun].concat()));
        }
    }
    part(b"moof", &parts)
}

fn track(id: u32, handler: &[u8; 4], entry: &[u8]) -> Vec<u8> {
    let mut tkhd = words(&[0, 0, 0, id]);
    tkhd.resize(84, 0);
    let mut hdlr = words(&[0, 0]);
    hdlr.extend_from_slice(handler);
    hdlr.resize(24, 0);
    let stsd = part(b"stsd", &[words(&[0, 1]), entry.to_vec()].concat());
    let minf = part(b"minf", &part(b"stbl", &stsd));
    let mdia = part(b"mdia", &[part(b"hdlr", &hdlr), minf].concat());
    part(b"trak", &[part(b"tkhd", &tkhd), mdia].concat())
}

fn part(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = wide(body.len() + 8).to_be_bytes().to_vec();
    bytes.extend_from_slice(kind);
    bytes.extend_from_slice(body);
    bytes
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn wide(len: usize) -> u32 {
    u32::try_from(len).expect("small")
}

/// A decoder's settings with one parameter set of each kind, which no decoder is given.
const AVCC: [u8; 13] = [1, 66, 0, 30, 0xff, 0xe1, 0, 1, 0x67, 1, 0, 1, 0x68];
