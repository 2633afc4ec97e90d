// SPDX-License-Identifier: Apache-2.0
// Where a clip comes from, as its manifest and those of what it was made from say it: a tree of which
// each clip of this page can be gone to.
'use strict';

(talkie => {
  const {el} = talkie;
  const most = 300; // entries of a tree

  // A claim to its clip, and to clips that name it: labels are whatever their signers like.
  const byClaim = new Map(), madeFrom = new Map();
  for (const clip of talkie.site.clips) {
    const own = clip.lineage[0];
    byClaim.set(own.claim, clip);
    for (const claim of new Set(own.from.map(i => clip.lineage[i.manifest]?.claim))) {
      if (claim === undefined) continue;
      if (!madeFrom.has(claim)) madeFrom.set(claim, []);
      madeFrom.get(claim).push(clip);
    }
  }

  const howOf = ingredient => {
    if (ingredient.type === 'c2pa.types.model') return 'the model';
    return {componentOf: 'part of it', inputTo: 'shown to the model', parentOf: 'edited'}[ingredient.relation] || '';
  };

  // Entries: {title, how, words, signer, clip, from: [entries]}; each manifest is told once.
  const entriesOf = (clip, k, told) => {
    told.add(k);
    return clip.lineage[k].from.map(i => {
      const below = clip.lineage[i.manifest];
      const entry = {title: i.title || 'something without a name', how: howOf(i), words: i.words, from: []};
      if (!below) return entry;
      entry.signer = below.signer;
      entry.clip = byClaim.get(below.claim);
      if (told.has(i.manifest)) entry.how += ', see above';
      else if (told.size < most) entry.from = entriesOf(clip, i.manifest, told);
      return entry;
    });
  };

  const nameTree = entry => el('span', {class: 'entry'},
    el('bdi', {class: 'title'}, entry.clip ? talkie.nameOf(entry.clip) : entry.title),
    el('span', {class: 'how'}, [entry.how, entry.signer && `signed by ${entry.signer}`, entry.words]
      .filter(w => w).join(' · ')));

  // A tree as ARIA has it: one item can be reached by Tab, the others by arrows.
  const itemOf = (entry, level, go) => {
    const item = el('li', {role: 'treeitem', tabindex: '-1', 'aria-level': `${level}`,
      'aria-expanded': entry.from.length ? 'true' : undefined, class: entry.clip ? 'here' : undefined},
    nameTree(entry));
    if (entry.clip) {
      item.setAttribute('data-number', entry.clip.number);
      item.firstChild.append(el('span', {class: 'go', 'aria-hidden': 'true'}, 'watch'));
      item.addEventListener('click', e => { e.stopPropagation(); go(entry.clip); });
    } else item.addEventListener('click', e => { e.stopPropagation(); fold(item); });
    if (entry.from.length)
      item.append(el('ul', {role: 'group'}, ...entry.from.map(e => itemOf(e, level + 1, go))));
    return item;
  };

  const fold = (item, open) => {
    const now = item.getAttribute('aria-expanded');
    if (now !== null) item.setAttribute('aria-expanded', `${open ?? now !== 'true'}`);
  };

  const seen = tree => [...tree.querySelectorAll('[role=treeitem]')]
    .filter(i => !i.parentElement.closest('[aria-expanded=false]'));

  const focusOn = (tree, item) => {
    if (!item) return;
    for (const i of tree.querySelectorAll('[tabindex="0"]')) i.tabIndex = -1;
    item.tabIndex = 0;
    item.focus();
  };

  const steer = (tree, e) => {
    const item = e.target.closest('[role=treeitem]'), all = seen(tree), at = all.indexOf(item);
    const open = item.getAttribute('aria-expanded');
    const to = {ArrowDown: () => focusOn(tree, all[at + 1]), ArrowUp: () => focusOn(tree, all[at - 1]),
      Home: () => focusOn(tree, all[0]), End: () => focusOn(tree, all.at(-1)),
      ArrowRight: () => { if (open === 'false') fold(item, true); else if (open) focusOn(tree, all[at + 1]); },
      ArrowLeft: () => {
        if (open === 'true') fold(item, false);
        else focusOn(tree, item.parentElement.closest('[role=treeitem]'));
      },
      Enter: () => item.click(), ' ': () => item.click()}[e.key];
    if (!to) return;
    e.preventDefault();
    e.stopPropagation();
    to();
  };

  const treeOf = (entries, label, go) => {
    const tree = el('ul', {role: 'tree', class: 'tree', 'aria-label': label},
      ...entries.map(e => itemOf(e, 1, go)));
    tree.addEventListener('keydown', e => steer(tree, e));
    const first = tree.querySelector('[role=treeitem]');
    if (first) first.tabIndex = 0;
    return tree;
  };

  // What the panel shows of a clip; `go` is called with the clip that is chosen.
  talkie.lineageOf = (clip, go) => {
    const own = clip.lineage[0], below = entriesOf(clip, 0, new Set());
    const remixes = (madeFrom.get(own.claim) || []).filter(c => c !== clip);
    return el('div', {class: 'lineage'},
      el('h3', {}, 'Made from'),
      treeOf([{title: own.title, how: 'this clip', signer: own.signer, words: '', from: below}], 'Made from', go),
      el('h3', {}, 'Made from this clip'),
      remixes.length ? treeOf(remixes.map(c => ({title: c.name, how: '', signer: c.lineage[0].signer, words: '',
        clip: c, from: []})), 'Made from this clip', go) : el('p', {class: 'quiet'}, 'Nothing on this page.'));
  };
})(window.talkie);
