// SPDX-License-Identifier: Apache-2.0
// Puts the parts together: the line at the top, keys, and the address of a clip.
'use strict';

(talkie => {
  const {kept, feed, icon} = talkie;
  const by = id => document.getElementById(id);
  const query = by('query'), orders = {you: by('order-you'), time: by('order-time')};

  // ---- order and search ----

  const refresh = number => {
    const list = talkie.arrange(query.value);
    for (const [name, button] of Object.entries(orders)) {
      const on = kept.get('order') === name;
      button.setAttribute('aria-checked', `${on}`);
      button.tabIndex = on ? 0 : -1;
    }
    by('empty').textContent = talkie.site.clips.length ? 'No clip has all of these words.' : 'There are no clips here.';
    document.body.classList.toggle('by-time', kept.get('order') === 'time');
    feed.set(list, number);
    return list.length;
  };
  talkie.rearrange = () => refresh(feed.clip()?.number);

  const choose = name => {
    kept.set('order', name);
    refresh();
    talkie.say(name === 'you' ? 'Order: for you' : 'Order: newest first');
  };
  for (const [name, button] of Object.entries(orders)) {
    button.addEventListener('click', () => choose(name));
    button.addEventListener('keydown', e => {
      if (!['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown'].includes(e.key)) return;
      e.preventDefault();
      e.stopPropagation();
      const other = name === 'you' ? 'time' : 'you';
      choose(other);
      orders[other].focus();
    });
  }
  let typed = 0;
  query.addEventListener('input', () => {
    clearTimeout(typed);
    typed = setTimeout(() => {
      const n = refresh();
      talkie.say(n === 1 ? '1 clip' : `${n} clips`);
    }, 120);
  });

  feed.onlike = past => feed.follow(talkie.arrange(query.value, past));

  // Wherever it is: a search that hides it is given up.
  talkie.goTo = clip => {
    if (!talkie.arrange(query.value).includes(clip)) query.value = '';
    refresh(clip.number);
  };

  // ---- buttons ----

  const toggle = (id, key, on, off, set) => {
    const button = by(id);
    const show = () => {
      button.setAttribute('aria-pressed', `${kept.get(key)}`);
      button.replaceChildren(icon(kept.get(key) ? on : off));
    };
    const run = () => {
      set(!kept.get(key));
      show();
    };
    button.addEventListener('click', run);
    show();
    return run;
  };
  const sound = toggle('sound', 'sound', 'sound', 'mute', feed.sound);
  const captions = toggle('captions', 'captions', 'captions', 'captions', feed.captions);
  by('about').append(icon('about'));
  by('about').addEventListener('click', talkie.panels.about);
  by('unmute').addEventListener('click', () => feed.sound(true));

  // ---- keys ----

  const go = k => () => feed.step(k, true);
  const always = {ArrowDown: go(1), PageDown: go(1), ArrowUp: go(-1), PageUp: go(-1), Home: go(-Infinity),
    End: go(Infinity), ' ': () => feed.toggle()};
  const letters = {j: go(1), k: go(-1), m: sound, c: captions, l: () => feed.like(),
    t: () => feed.clip() && talkie.panels.lineage(feed.clip()), r: () => feed.clip() && talkie.panels.remix(feed.clip()),
    '/': () => query.focus(), '?': () => talkie.panels.about()};

  document.addEventListener('keydown', e => {
    if (e.ctrlKey || e.altKey || e.metaKey || by('panel').open) return;
    if (e.target.matches('input, textarea')) {
      if (e.key === 'Escape' && e.target === query) query.blur();
      return;
    }
    if (e.key === ' ' && e.target.closest('button')) return;
    const run = always[e.key] || (kept.get('letters') && letters[e.key.toLowerCase()]);
    if (!run) return;
    e.preventDefault();
    run();
  });

  // ---- a clip's address: #NUMBER ----

  const here = () => talkie.site.clips.find(c => c.number === location.hash.slice(1));
  feed.onshow = clip => {
    document.title = `${talkie.nameOf(clip)} · talkie gallery`;
    try { history.replaceState(null, '', `#${clip.number}`); } catch { /* not from a file, here */ }
  };
  window.addEventListener('hashchange', () => { if (here() && here() !== feed.clip()) talkie.goTo(here()); });
  refresh(here()?.number);
})(window.talkie);
