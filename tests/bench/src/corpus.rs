//! What is sent to and fro: texts and pictures.

/// What deltas are made of: about eight bytes each, with characters of every length, and one in thirteen that JSON
/// escapes.
const WORDS: [&str; 40] = [
    "照片里",
    "有一只",
    "橘猫",
    ",",
    "蜷在",
    "旧沙发",
    "上",
    "。\n",
    "窗外",
    "正下着",
    "小雨",
    ",玻璃",
    "上写着",
    "\"营业中\"",
    "三个字",
    "。光线",
    "偏暗",
    "🐈 ",
    "的影子",
    "落在",
    "地板上",
    ";文件在",
    "D:\\照片",
    "。左边",
    "是一张",
    "木桌",
    ",桌上",
    "放着",
    "两只",
    "茶杯",
    "和一本",
    "翻开的",
    "书",
    ",书页",
    "微微",
    "卷起",
    "。整个",
    "画面",
    "安静",
    "。",
];

/// The delta at a place.
pub fn word(place: usize) -> &'static str {
    WORDS[place % WORDS.len()]
}

/// The text that so many deltas spell.
pub fn text(words: usize) -> String {
    (0..words).map(word).collect()
}

/// A picture of so many bytes: the header of a JPEG of 4000 x 3000 px, and noise.
pub fn jpeg(bytes: usize) -> Vec<u8> {
    const HEADER: &[u8] = b"\xff\xd8\
        \xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\
        \xff\xc0\0\x11\x08\x0b\xb8\x0f\xa0\x03\x01\x11\0\x02\x11\x01\x03\x11\x01\
        \xff\xda\0\x0c\x03\x01\0\x02\x11\x03\x11\0\x3f\0";
    let mut picture = HEADER.to_vec();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    while picture.len() + 2 < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // No byte that would begin a marker.
        picture.push((state >> 32) as u8 & 0xfe);
    }
    picture.extend_from_slice(b"\xff\xd9");
    picture
}

/// A number that tells two pictures apart (FNV-1a).
pub fn fingerprint(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{}:{hash:016x}", bytes.len())
}
