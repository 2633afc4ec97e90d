// SPDX-License-Identifier: Apache-2.0
// In which order clips are shown, and why. Nothing but the clips themselves and what was liked and seen
// in this browser goes into it:
//
//     score = recency + 2 * similarity - 0.5 if it was seen
//     recency     1 for the newest clip of the page, half of that for each week that one is older
//     similarity  0 to 1: how much its words are those of clips that were liked; rare words say more
'use strict';

(talkie => {
  const week = 7 * 24 * 3600, weight = 2, seenBefore = 0.5;

  const wordsOf = clip => new Set(
    talkie.fold(`${talkie.promptOf(clip)} ${clip.style || ''}`).match(/[\p{L}\p{N}]{2,}/gu) || []);

  // Of every clip: words with how rare each is, so that the squares sum up to 1.
  const weigh = clips => {
    const count = new Map(), vectors = new Map();
    const words = new Map(clips.map(c => [c, wordsOf(c)]));
    for (const set of words.values()) for (const w of set) count.set(w, (count.get(w) || 0) + 1);
    for (const [clip, set] of words) {
      const v = new Map([...set].map(w => [w, Math.log(1 + clips.length / count.get(w))]));
      const length = Math.hypot(...v.values()) || 1;
      for (const [w, x] of v) v.set(w, x / length);
      vectors.set(clip, v);
    }
    return vectors;
  };

  const taste = (vectors, liked) => {
    const sum = new Map();
    for (const clip of liked)
      for (const [w, x] of vectors.get(clip)) sum.set(w, (sum.get(w) || 0) + x);
    return sum;
  };

  // Cosine of a clip and of all that was liked but itself, and the words that speak for it most.
  const compare = (own, sum, itself) => {
    let dot = 0, square = 0;
    const shared = [];
    for (const [w, x] of sum) {
      const left = itself ? x - (own.get(w) || 0) : x;
      square += left * left;
      if (left > 1e-9 && own.has(w)) {
        dot += left * own.get(w);
        shared.push([left * own.get(w), w]);
      }
    }
    shared.sort((a, b) => b[0] - a[0] || (a[1] < b[1] ? -1 : 1));
    return {cosine: square > 1e-9 ? dot / Math.sqrt(square) : 0, shared: shared.slice(0, 3).map(s => s[1])};
  };

  const reasons = (recency, like, seen) => {
    const why = [];
    if (like.cosine > 0.05) why.push(`like what you liked: ${like.shared.join(', ')}`);
    if (recency > 0.5) why.push('new');
    if (seen) why.push('seen before');
    return why.join(' · ') || 'older';
  };

  let vectors;
  const score = clips => {
    vectors ??= weigh(clips);
    const newest = clips.reduce((t, c) => Math.max(t, c.time), 0);
    const liked = clips.filter(c => talkie.kept.has('likes', c.number));
    const seenOnes = new Set(talkie.kept.get('seen')), likedOnes = new Set(liked);
    const sum = taste(vectors, liked);
    for (const c of clips) {
      const recency = 2 ** (-(newest - c.time) / week), seen = seenOnes.has(c.number);
      const like = compare(vectors.get(c), sum, likedOnes.has(c));
      c.score = recency + weight * like.cosine - (seen ? seenBefore : 0);
      c.why = reasons(recency, like, seen);
      c.sum = `${c.score.toFixed(2)} = recency ${recency.toFixed(2)} + 2 × similarity ${like.cosine.toFixed(2)}` +
        (seen ? ' − 0.50, as it was seen' : '');
    }
  };

  const latest = (a, b) => b.time - a.time || (a.number < b.number ? -1 : 1);

  // Clips that hold every word of the query, in the order that is chosen; those up to and with `kept`
  // keep their places.
  talkie.arrange = (query, kept = []) => {
    const clips = talkie.site.clips, asked = talkie.fold(query).split(/\s+/).filter(w => w);
    score(clips);
    const stay = new Set(kept);
    const found = clips.filter(c => !stay.has(c) && asked.every(w => c.text.includes(w)));
    const you = talkie.kept.get('order') === 'you';
    found.sort(you ? (a, b) => b.score - a.score || latest(a, b) : latest);
    return [...kept, ...found];
  };

  // What a search looks through.
  for (const c of talkie.site.clips)
    c.text = talkie.fold([c.name, c.title, c.style || '', talkie.promptOf(c), c.number,
      c.lineage[0].signer, c.lineage[0].label].join(' '));
})(window.talkie);
