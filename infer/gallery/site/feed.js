// SPDX-License-Identifier: Apache-2.0
// The column of clips, a window high each. Of all clips only the one that is looked at and two on either
// side are in the page, and only its neighbours' films are loaded, so that it is as fast with a
// thousand as with ten. One plays, the others stand.
'use strict';

(talkie => {
  const {el, icon, kept} = talkie;
  const around = 2, loaded = 1; // clips on either side that are in the page; whose films are loaded
  const feed = document.getElementById('feed'), reel = document.getElementById('reel');
  const still = matchMedia('(prefers-reduced-motion: reduce)');
  const slides = new Map(); // a clip's number to its slide
  let clips = [], current = -1, target = -1, page = 1;
  let shown;            // the clip that is looked at
  let held = false;     // the next one gets the focus
  let wanted = false;   // the current clip is to play
  let allowed = false;  // somebody did something: the browser lets films sound from then on

  // ---- a slide ----

  const action = (name, label, run, properties = {}) => el('button',
    {type: 'button', class: 'round', 'aria-label': label, title: label, onclick: run, ...properties}, icon(name));

  const wordsOf = clip => {
    const prompt = talkie.promptOf(clip), day = talkie.dayOf(clip);
    return el('div', {class: 'words'},
      el('button', {type: 'button', class: 'badge', onclick: () => talkie.panels.proof(clip)},
        icon('verified'), el('span', {}, 'Made with talkie, verified')),
      el('h2', {id: `name-${clip.number}`, dir: 'auto'}, talkie.nameOf(clip)),
      prompt ? el('p', {class: 'prompt', dir: 'auto', lang: ''}, prompt) : '',
      el('p', {class: 'facts'}, clip.style ? el('bdi', {class: 'style'}, clip.style) : '',
        el('time', {datetime: day}, day)),
      el('p', {class: 'why'}, el('span', {}, `Here because: ${clip.why}`)));
  };

  const actionsOf = clip => el('div', {class: 'actions', role: 'group', 'aria-label': 'What to do with this clip'},
    action('like', 'Like', () => talkie.feed.like(), {'aria-pressed': `${kept.has('likes', clip.number)}`}),
    action('lineage', 'Where it comes from', () => talkie.panels.lineage(clip)),
    action('remix', 'Remix', () => talkie.panels.remix(clip)),
    action('report', 'Report', () => talkie.panels.report(clip)));

  const filmOf = clip => {
    const film = el('video', {playsinline: true, loop: true, preload: 'none', tabindex: '-1',
      poster: `posters/${clip.number}.jpg`, 'aria-label': talkie.promptOf(clip) || talkie.nameOf(clip)});
    film.addEventListener('timeupdate', () => {
      const part = film.duration ? film.currentTime / film.duration : 0;
      slides.get(clip.number)?.bar.style.setProperty('--part', part.toFixed(3));
      if (part > 0.5 && !kept.has('seen', clip.number)) kept.put('seen', clip.number, true);
    });
    for (const what of ['play', 'pause']) film.addEventListener(what, () => {
      const s = slides.get(clip.number);
      s?.root.classList.toggle('stands', film.paused);
      s?.play.setAttribute('aria-label', film.paused ? 'Play' : 'Pause');
    });
    film.addEventListener('error', () => {
      if (film.getAttribute('src')) slides.get(clip.number)?.root.classList.add('broken');
    });
    return film;
  };

  // What is seen beside the film: its poster out of focus and dark, drawn small and once, since a filter
  // over the window would be computed anew with every frame of the film.
  const backdropOf = clip => {
    const canvas = el('canvas', {class: 'backdrop', width: '32', height: '32', 'aria-hidden': 'true'});
    const poster = new Image();
    poster.addEventListener('load', () => {
      const to = canvas.getContext('2d');
      if ('filter' in to) to.filter = 'blur(3px) brightness(38%) saturate(90%)';
      else to.globalAlpha = 0.3;
      to.drawImage(poster, -6, -6, 44, 44);
    });
    poster.src = `posters/${clip.number}.jpg`;
    return canvas;
  };

  const makeSlide = clip => {
    const film = filmOf(clip), bar = el('div', {class: 'bar', 'aria-hidden': 'true'});
    const play = el('button', {type: 'button', class: 'play', 'aria-label': 'Play',
      onclick: () => talkie.feed.toggle()}, icon('play'));
    const root = el('article', {class: 'slide stands', tabindex: '-1', 'data-number': clip.number,
      'aria-labelledby': `name-${clip.number}`},
    backdropOf(clip),
    el('div', {class: 'stage'}, film, play), wordsOf(clip), actionsOf(clip), bar);
    return {clip, root, film, play, bar};
  };

  // ---- captions: WebVTT cues, which carry what each shot says ----

  const escape = text => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
  const addCaptions = slide => {
    const {clip, film} = slide;
    if (slide.track || !clip.shots) return;
    slide.track = film.addTextTrack('captions', 'English', 'en');
    for (const shot of clip.shots) {
      if (!shot.prompt) continue;
      const cue = new VTTCue(shot.start, shot.start + shot.seconds, escape(talkie.captionOf(shot.prompt)));
      cue.snapToLines = false;
      cue.line = 8;
      slide.track.addCue(cue);
    }
  };
  const showCaptions = () => {
    for (const s of slides.values())
      if (s.track) s.track.mode = kept.get('captions') ? 'showing' : 'disabled';
  };

  // ---- films ----

  const load = slide => {
    if (slide.film.getAttribute('src')) return;
    slide.film.preload = 'auto';
    slide.film.src = `clips/${slide.clip.number}.mp4`;
    addCaptions(slide);
  };
  const unload = slide => {
    slide.film.pause();
    if (!slide.film.getAttribute('src')) return;
    slide.film.removeAttribute('src');
    slide.film.load();
  };

  const tellSound = slide => {
    const silent = slide && !slide.film.paused && slide.film.muted && kept.get('sound');
    document.getElementById('unmute').hidden = !silent;
  };

  // With sound where the browser lets it, else without until somebody does something.
  const start = async slide => {
    slide.film.muted = !kept.get('sound');
    try {
      await slide.film.play();
    } catch (e) {
      if (e.name !== 'NotAllowedError' || slide.film.muted) return;
      slide.film.muted = true;
      await slide.film.play().catch(() => {});
    }
    if (slide.clip !== clips[current] || !wanted) slide.film.pause(); // it took too long
    tellSound(slide);
  };

  const playOne = () => {
    const own = clips[current];
    for (const s of slides.values()) {
      if (s.clip === own) continue;
      s.film.pause();
      if (s.film.currentTime > 0) s.film.currentTime = 0;
    }
    const s = own && slides.get(own.number);
    if (!s) return;
    if (wanted && !document.hidden && s.film.paused) start(s);
    if (!wanted) s.film.pause();
  };

  // ---- which are in the page ----

  const arrange = () => {
    const first = Math.max(0, current - around), last = Math.min(clips.length - 1, current + around);
    const near = new Set(clips.slice(first, last + 1).map(c => c.number));
    for (const [number, s] of slides)
      if (!near.has(number)) {
        unload(s);
        s.root.remove();
        slides.delete(number);
      }
    for (let i = first; i <= last; i++) {
      let s = slides.get(clips[i].number);
      if (!s) {
        slides.set(clips[i].number, s = makeSlide(clips[i]));
        reel.append(s.root);
      }
      s.root.style.top = `${i * page}px`;
      s.root.setAttribute('aria-posinset', `${i + 1}`);
      s.root.setAttribute('aria-setsize', `${clips.length}`);
      s.root.inert = i !== current;
      s.root.classList.toggle('current', i === current);
      if (Math.abs(i - current) <= loaded) load(s); else unload(s);
    }
    showCaptions();
  };

  const show = i => {
    current = i;
    shown = clips[i];
    if (i === target) target = -1;
    const focus = held || reel.contains(document.activeElement);
    held = false;
    feed.dataset.at = `${i}`;
    arrange();
    playOne();
    if (focus) slides.get(shown.number).root.focus({preventScroll: true});
    talkie.feed.onshow?.(shown);
  };

  // A slide that a jump cuts short may put the feed where the slide ended once more, after the jump and its
  // scrollend: for a moment what was jumped to is kept, unless somebody's finger takes the feed.
  let jumped = -Infinity; // when
  const jump = i => {
    jumped = performance.now();
    feed.scrollTo({top: i * page, behavior: 'instant'});
  };
  feed.addEventListener('pointerdown', () => { jumped = -Infinity; }, {passive: true});

  const measure = () => {
    page = Math.max(1, feed.clientHeight);
    reel.style.height = `${clips.length * page}px`;
    feed.style.setProperty('--page', `${page}px`);
    if (current >= 0) {
      arrange();
      jump(current);
    }
  };

  let asked = 0;
  feed.addEventListener('scroll', () => {
    asked ||= requestAnimationFrame(() => {
      asked = 0;
      const i = Math.min(clips.length - 1, Math.max(0, Math.round(feed.scrollTop / page)));
      if (!clips.length || i === current) return;
      if (performance.now() - jumped < 300) {
        feed.scrollTo({top: current * page, behavior: 'instant'});
        return;
      }
      wanted = !still.matches;
      show(i);
    });
  }, {passive: true});
  feed.addEventListener('scrollend', () => { target = -1; });
  new ResizeObserver(() => { if (feed.clientHeight !== page) measure(); }).observe(feed);

  // A turn of a wheel or a stroke over a pad is one clip, however many events it is and however long the
  // pad lets it run out: the next one begins after a pause.
  let turned = 0, since = 0, stepped = -Infinity, done = false;
  feed.addEventListener('wheel', e => {
    if (e.ctrlKey) return;
    e.preventDefault();
    if (e.timeStamp - since > 120) {
      turned = 0;
      done = false;
    }
    since = e.timeStamp;
    turned += e.deltaY * [1, 40, page][e.deltaMode];
    if (done || Math.abs(turned) < 40 || e.timeStamp - stepped < 250) return;
    done = true;
    stepped = e.timeStamp;
    talkie.feed.step(Math.sign(turned));
  }, {passive: false});

  document.addEventListener('visibilitychange', () => {
    if (document.hidden) for (const s of slides.values()) s.film.pause();
    else playOne();
  });

  // The first thing that somebody does lets the film sound.
  const wake = () => {
    if (allowed) return;
    allowed = true;
    const s = talkie.feed.slide();
    if (s && kept.get('sound')) s.film.muted = false;
    tellSound(s);
  };
  for (const what of ['pointerup', 'keydown']) document.addEventListener(what, wake, {capture: true});

  talkie.feed = {
    onshow: null, // called with the clip that is looked at from now on
    clip: () => clips[current],
    slide: () => clips[current] && slides.get(clips[current].number),

    // Shows another list, at the clip of that number, or else at its beginning.
    set(list, number) {
      clips = list;
      document.getElementById('empty').hidden = list.length > 0;
      const i = Math.max(0, list.findIndex(c => c.number === number));
      if (clips[i] !== shown) wanted = !still.matches;
      current = list.length ? i : -1;
      target = -1;
      measure();
      if (list.length) show(i); else arrange();
    },

    // The k-th one from here; beside each other they slide, unless motion is to be reduced. focus: it
    // gets the focus.
    step(k, focus = false) {
      const from = target >= 0 ? target : current;
      const to = Math.min(clips.length - 1, Math.max(0, from + k));
      if (to < 0 || to === current) return;
      held = focus;
      if (Math.abs(to - current) > around || still.matches) {
        wanted = !still.matches;
        target = -1;
        show(to);
        jump(to);
      } else {
        jumped = -Infinity;
        target = to;
        feed.scrollTo({top: to * page, behavior: 'smooth'});
      }
    },

    toggle() {
      const s = talkie.feed.slide();
      if (!s) return;
      wanted = s.film.paused;
      playOne();
    },

    sound(on) {
      kept.set('sound', on);
      const s = talkie.feed.slide();
      if (s) s.film.muted = !on;
      tellSound(s);
    },

    captions(on) {
      kept.set('captions', on);
      showCaptions();
    },

    // The clips that come after this one are put in a new order; what was seen stays where it was.
    like() {
      const s = talkie.feed.slide();
      if (!s) return;
      const yes = !kept.has('likes', s.clip.number);
      kept.put('likes', s.clip.number, yes);
      s.root.querySelector('.actions button').setAttribute('aria-pressed', `${yes}`);
      talkie.say(yes ? 'Liked: clips like this one come sooner' : 'Not liked any more');
      talkie.feed.onlike?.(clips.slice(0, current + 1));
    },

    // As `set`, for a list that goes on otherwise behind the clip that is looked at.
    follow(list) {
      clips = list;
      for (const [number, s] of slides)
        if (number !== clips[current].number) {
          unload(s);
          s.root.remove();
          slides.delete(number);
        }
      arrange();
    },
  };
})(window.talkie);
