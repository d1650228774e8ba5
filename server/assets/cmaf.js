// Reads CMAF: what codecs an init segment names, and the samples of a chunk (moof and mdat).

/** Calls `visit(type, bytes, offset)` for each box in `bytes`. */
export function boxes(bytes, visit) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at + 8 <= bytes.length) {
    let size = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    let head = 8;
    if (size === 1 && at + 16 <= bytes.length) {
      size = Number(view.getBigUint64(at + 8));
      head = 16;
    } else if (size === 0) {
      size = bytes.length - at;
    }
    if (size < head || at + size > bytes.length) return;
    visit(type, bytes.subarray(at + head, at + size), at);
    at += size;
  }
}

const CONTAINERS = new Set(["moov", "trak", "mdia", "minf", "stbl", "moof", "traf", "mvex"]);

function walk(bytes, visit) {
  boxes(bytes, (type, body) => {
    visit(type, body);
    if (CONTAINERS.has(type)) walk(body, visit);
  });
}

function reader(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Returns the tracks of an init segment: {id, kind, codec, description, timescale, …}. */
export function tracks(init) {
  const found = [];
  boxes(init, (type, moov) => {
    if (type !== "moov") return;
    boxes(moov, (inner, trak) => {
      if (inner === "trak") found.push(track(trak));
    });
    walk(moov, (inner, body) => {
      if (inner !== "trex") return;
      const view = reader(body);
      const one = found.find((candidate) => candidate.id === view.getUint32(4));
      if (one) one.defaults = { duration: view.getUint32(12), size: view.getUint32(16), flags: view.getUint32(20) };
    });
  });
  return found.filter((one) => one.codec);
}

function track(trak) {
  const one = { id: 0, kind: "", codec: "", timescale: 1, defaults: { duration: 0, size: 0, flags: 0 } };
  walk(trak, (type, body) => {
    const view = reader(body);
    if (type === "tkhd") one.id = view.getUint32(body[0] === 1 ? 20 : 12);
    if (type === "mdhd") one.timescale = view.getUint32(body[0] === 1 ? 20 : 12);
    if (type === "stsd") boxes(body.subarray(8), (entry, sample) => describe(one, entry, sample));
  });
  return one;
}

function describe(one, entry, sample) {
  const view = reader(sample);
  if (entry === "avc1" || entry === "avc3") {
    one.kind = "video";
    one.width = view.getUint16(24);
    one.height = view.getUint16(26);
    boxes(sample.subarray(78), (type, body) => {
      if (type !== "avcC") return;
      one.description = body.slice();
      one.codec = `${entry}.` + [...body.subarray(1, 4)].map((b) => b.toString(16).padStart(2, "0")).join("");
    });
  }
  if (entry === "Opus") {
    one.kind = "audio";
    one.codec = "opus";
    one.channels = view.getUint16(16);
    one.rate = view.getUint32(24) >>> 16 || 48000;
    boxes(sample.subarray(28), (type, body) => {
      if (type === "dOps") one.description = opusHead(body);
    });
  }
}

/** Turns a dOps box into an OpusHead packet, which WebCodecs wants. */
function opusHead(dops) {
  const from = reader(dops);
  const head = new Uint8Array(8 + dops.length);
  head.set([0x4f, 0x70, 0x75, 0x73, 0x48, 0x65, 0x61, 0x64]);
  head.set(dops, 8);
  const to = reader(head);
  to.setUint8(8, 1);
  to.setUint16(10, from.getUint16(2), true);
  to.setUint32(12, from.getUint32(4), true);
  to.setInt16(16, from.getInt16(8), true);
  return head;
}

/** Returns the samples of a chunk: {track, time, duration, sync, data}, times in microseconds. */
export function samples(chunk, known) {
  const found = [];
  let moof = null;
  boxes(chunk, (type, body, offset) => {
    if (type === "moof") moof = { body, offset };
    if (type === "mdat" && moof) {
      boxes(moof.body, (inner, traf) => {
        if (inner === "traf") fragment(chunk, moof.offset, traf, known, found);
      });
      moof = null;
    }
  });
  return found;
}

function fragment(chunk, base, traf, known, found) {
  let one = null;
  let time = 0;
  let defaults = {};
  boxes(traf, (type, body) => {
    const view = reader(body);
    if (type === "tfhd") {
      one = known.find((candidate) => candidate.id === view.getUint32(4));
      if (!one) return;
      defaults = { ...one.defaults };
      const flags = view.getUint32(0) & 0xffffff;
      let at = 8;
      if (flags & 0x1) at += 8;
      if (flags & 0x2) at += 4;
      if (flags & 0x8) { defaults.duration = view.getUint32(at); at += 4; }
      if (flags & 0x10) { defaults.size = view.getUint32(at); at += 4; }
      if (flags & 0x20) defaults.flags = view.getUint32(at);
    }
    if (type === "tfdt") time = body[0] === 1 ? Number(view.getBigUint64(4)) : view.getUint32(4);
    if (type === "trun" && one) time = run(chunk, base, view, one, defaults, time, found);
  });
}

function run(chunk, base, view, one, defaults, start, found) {
  const flags = view.getUint32(0) & 0xffffff;
  const count = view.getUint32(4);
  let at = 8;
  let data = base;
  let first = null;
  let time = start;
  if (flags & 0x1) { data += view.getInt32(at); at += 4; }
  if (flags & 0x4) { first = view.getUint32(at); at += 4; }
  for (let index = 0; index < count; index += 1) {
    let { duration, size, flags: sampleFlags } = defaults;
    let shift = 0;
    if (flags & 0x100) { duration = view.getUint32(at); at += 4; }
    if (flags & 0x200) { size = view.getUint32(at); at += 4; }
    if (flags & 0x400) { sampleFlags = view.getUint32(at); at += 4; }
    if (flags & 0x800) { shift = view.getInt32(at); at += 4; }
    if (index === 0 && first !== null) sampleFlags = first;
    found.push({
      track: one,
      time: Math.round(((time + shift) * 1e6) / one.timescale),
      duration: Math.round((duration * 1e6) / one.timescale),
      sync: one.kind === "audio" || (sampleFlags & 0x10000) === 0,
      data: chunk.subarray(data, data + size),
    });
    data += size;
    time += duration;
  }
  return time;
}

/**
 * Makes the last picture of a chunk last until `untilUs`: a screen that stands still sends nothing,
 * and a browser that meets a hole drops what follows up to the next key frame.
 */
export function stretch(chunk, known, untilUs) {
  boxes(chunk, (type, moof) => {
    if (type !== "moof") return;
    boxes(moof, (inner, traf) => {
      if (inner === "traf") stretchTrack(traf, known, untilUs);
    });
  });
}

function stretchTrack(traf, known, untilUs) {
  let one = null;
  let time = 0;
  let defaults = {};
  boxes(traf, (type, body) => {
    const view = reader(body);
    if (type === "tfhd") {
      one = known.find((candidate) => candidate.id === view.getUint32(4) && candidate.kind === "video");
      defaults = one ? one.defaults : {};
    }
    if (type === "tfdt") time = body[0] === 1 ? Number(view.getBigUint64(4)) : view.getUint32(4);
    if (type !== "trun" || !one) return;
    const flags = view.getUint32(0) & 0xffffff;
    const count = view.getUint32(4);
    const step = 4 * [0x100, 0x200, 0x400, 0x800].filter((flag) => flags & flag).length;
    let at = 8 + (flags & 0x1 ? 4 : 0) + (flags & 0x4 ? 4 : 0);
    for (let index = 0; index < count; index += 1, at += step) {
      const duration = flags & 0x100 ? view.getUint32(at) : defaults.duration;
      const until = Math.floor((untilUs * one.timescale) / 1e6);
      // Only a trun that tells each duration can be told another.
      if (index === count - 1 && flags & 0x100 && until > time + duration) view.setUint32(at, Math.min(until - time, 0xffffffff));
      time += duration;
    }
  });
}

/** Returns the MIME type with codecs that Media Source Extensions want. */
export function mime(known) {
  const kind = known.some((one) => one.kind === "video") ? "video" : "audio";
  return `${kind}/mp4; codecs="${known.map((one) => one.codec).join(", ")}"`;
}
