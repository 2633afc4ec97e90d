// SPDX-License-Identifier: Apache-2.0
// Small things that all parts use: elements, pictures on buttons, what this browser remembers, words.
// Text goes into the page as text alone, never as HTML.
'use strict';

(talkie => {
  // ---- elements ----

  // el('p', {class: 'why', onclick: f, hidden: true}, 'text', other)
  talkie.el = (tag, properties = {}, ...children) => {
    const e = document.createElement(tag);
    for (const [key, value] of Object.entries(properties)) {
      if (value === undefined || value === false) continue;
      if (key.startsWith('on')) e.addEventListener(key.slice(2), value);
      else e.setAttribute(key, value === true ? '' : value);
    }
    e.append(...children.filter(c => c !== undefined && c !== null && c !== ''));
    return e;
  };

  // Drawn on a field of 24 by 24, as strokes.
  const shapes = {
    like: 'M12 20.5C5.5 15.8 3 12.4 3 8.9 3 6.2 5.1 4.3 7.5 4.3c1.9 0 3.5 1 4.5 2.8 1-1.8 2.6-2.8 4.5-2.8 2.4 0 4.5 1.9 4.5 4.6 0 3.5-2.5 6.9-9 11.6z',
    lineage: 'M12 3.5v6M12 9.5c0 3-6 2.500-6 6M12 9.500c0 3 6 2.500 6 6M6 15.500m-2.500 2.500a2.500 2.500 0 1 0 5 0a2.500 2.500 0 1 0-5 0M18 15.500m-2.500 2.500a2.500 2.500 0 1 0 5 0a2.500 2.500 0 1 0-5 0',
    remix: 'M4 8h11l-3.500-3.500M20 16H9l3.500 3.500M4 8v3M20 16v-3',
    report: 'M6 21V4M6 4.500c4-2.500 7 2.500 12 0v9c-5 2.500-8-2.500-12 0',
    sound: 'M4 9.500v5h3.500L12 19V5L7.500 9.500zM15.500 9c1.700 1.700 1.700 4.300 0 6M18 6.500c3 3 3 8 0 11',
    mute: 'M4 9.500v5h3.500L12 19V5L7.500 9.500zM16 9.500l5 5M21 9.500l-5 5',
    captions: 'M3.500 5.500h17v13h-17zM7 11h4M13.500 11H17M7 14.500h2.500M12 14.500h5',
    about: 'M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18zM12 11v5.500M12 7.500v.6',
    close: 'M6 6l12 12M18 6L6 18',
    play: 'M8 5l11 7-11 7z',
    verified: 'M12 3l7 2.500v5.500c0 5-3 8-7 10-4-2-7-5-7-10V5.500zM8.500 12l2.500 2.500 4.500-5',
  };
  talkie.icon = name => {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    const path = document.createElementNS(svg.namespaceURI, 'path');
    svg.setAttribute('viewBox', '0 0 24 24');
    svg.setAttribute('aria-hidden', 'true');
    path.setAttribute('d', shapes[name]);
    svg.append(path);
    return svg;
  };

  // ---- what this browser remembers, and nobody else ----

  const place = 'talkie-gallery', most = 5000;
  const kept = {likes: [], seen: [], order: 'you', sound: true, captions: true, letters: true};
  try {
    const found = JSON.parse(localStorage.getItem(place));
    for (const key of Object.keys(kept))
      if (found && typeof found[key] === typeof kept[key]) kept[key] = found[key];
    for (const key of ['likes', 'seen'])
      if (!Array.isArray(kept[key])) kept[key] = [];
  } catch { /* nothing remembered, or nowhere to */ }
  const save = () => {
    try { localStorage.setItem(place, JSON.stringify(kept)); } catch { /* for this visit only */ }
  };
  talkie.kept = {
    get: key => kept[key],
    set: (key, value) => { kept[key] = value; save(); },
    has: (key, number) => kept[key].includes(number),
    put: (key, number, yes) => {
      kept[key] = kept[key].filter(n => n !== number);
      if (yes) kept[key] = [...kept[key], number].slice(-most);
      save();
    },
  };

  // ---- words ----

  talkie.fold = text => text.normalize('NFKC').toLowerCase();
  // A clip's file without its suffix; what is asked for in each shot, one after the other.
  talkie.nameOf = clip => clip.name.replace(/\.mp4$/i, '');
  talkie.promptOf = clip => (clip.shots || []).map(s => s.prompt).filter(p => p).join(' / ');
  talkie.dayOf = clip => new Date(clip.time * 1000).toISOString().slice(0, 10);

  // A string in YAML on one line. JSON's form is YAML's, but for what YAML takes for unprintable.
  talkie.yaml = text => JSON.stringify(text).replace(/[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    c => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));

  const first = (text, letters = [...text]) => letters.length > 200 ? `${letters.slice(0, 199).join('')}…` : text;
  // What a shot's caption shows, of a length that leaves its picture to be seen: what is said in it, else
  // what it shows.
  talkie.captionOf = prompt => {
    const lines = [...prompt.matchAll(/(?<![\p{L}\p{N}'-])([\p{L}\p{N}'-]+)(?:\s+<[^>]*>)?\s+says:?\s+"([^"]*)"/gu)];
    return lines.length ? first(lines.map(m => `${m[1]}: ${m[2]}`).join('\n')) : `[${first(prompt)}]`;
  };

  talkie.say = text => { document.getElementById('said').textContent = text; };

  talkie.copy = async text => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch { /* refused or not there: the way before */ }
    const field = talkie.el('textarea', {class: 'hidden', 'aria-hidden': 'true'});
    (document.querySelector('dialog[open]') || document.body).append(field);
    field.value = text;
    field.select();
    let done = false;
    try { done = document.execCommand('copy'); } catch { /* then by hand */ }
    field.remove();
    return done;
  };

  talkie.save = (name, text) => {
    const url = URL.createObjectURL(new Blob([text], {type: 'text/yaml'}));
    talkie.el('a', {href: url, download: name}).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  };
})(window.talkie);
