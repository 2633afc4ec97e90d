// SPDX-License-Identifier: Apache-2.0
// The panel over the clips: where one comes from, a storyboard that remixes it, a report of it, its proof,
// and what there is to know about the page.
'use strict';

(talkie => {
  const {el, icon} = talkie;
  const panel = document.getElementById('panel'), body = document.getElementById('panel-body');
  const title = document.getElementById('panel-title'), shut = document.getElementById('panel-close');
  shut.append(icon('close'));
  shut.addEventListener('click', () => panel.close());
  panel.addEventListener('click', e => { if (e.target === panel) panel.close(); });

  const open = (name, ...content) => {
    title.textContent = name;
    body.replaceChildren(...content);
    body.scrollTop = 0;
    if (!panel.open) panel.showModal();
    title.focus();
  };

  // ---- text that is taken away ----

  const outlet = (file, textOf) => {
    const field = el('textarea', {readonly: true, rows: '11', spellcheck: 'false', 'aria-label': file, class: 'outlet'});
    const fill = () => { field.value = textOf(); };
    const copy = async () => {
      const done = await talkie.copy(field.value);
      if (!done) field.select();
      talkie.say(done ? `Copied: ${file}` : 'The browser did not let it be copied; the text is selected');
      told.textContent = done ? 'Copied' : 'Select and copy';
    };
    const told = el('span', {}, 'Copy');
    fill();
    return {fill, copy, parts: [field, el('p', {class: 'buttons'},
      el('button', {type: 'button', class: 'main copy', onclick: copy}, told),
      el('button', {type: 'button', class: 'save', onclick: () => talkie.save(file, field.value)}, 'Save as a file'))]};
  };

  // ---- remix ----

  // All that was asked for in a shot.
  const askedIn = (clip, shot) => (shot?.styled ? `${clip.style}, ` : '') + (shot?.prompt || '');

  // Which shot is seen now.
  const shotNow = clip => {
    const film = talkie.feed.slide()?.film, t = film && talkie.feed.clip() === clip ? film.currentTime : 0;
    return Math.max(0, (clip.shots || []).findLastIndex(s => s.start <= t));
  };

  const modelOf = clip => clip.lineage[0].from.find(i => i.type === 'c2pa.types.model')?.title || 'CHECKPOINT';

  talkie.remixOf = (clip, shots, prompt) => [
    `# A remix. Keep this as remix.yaml where ${talkie.yaml(clip.name)} lies, give the checkpoint's path, then:`,
    '#   talkie sample remix.yaml -o remix.mp4',
    `checkpoint: ${talkie.yaml(modelOf(clip))}`,
    'remix:',
    `  clip: ${talkie.yaml(clip.name)}`,
    `  shots: [${shots.join(', ')}]`,
    `  prompt: ${talkie.yaml(prompt)}`,
    '  strength: 0.6', ''].join('\n');

  const remix = clip => {
    const shots = clip.shots || [], now = shotNow(clip), few = shots.slice(0, 24);
    const prompt = el('textarea', {rows: '3', id: 'remix-prompt', maxlength: '4000', dir: 'auto'});
    prompt.value = askedIn(clip, shots[now]);
    const boxes = few.map((s, i) => el('input', {type: 'checkbox', value: `${i}`, checked: i === now || undefined}));
    const chosen = () => {
      const list = boxes.filter(b => b.checked).map(b => b.value);
      return list.length ? list : [`${now}`];
    };
    const out = outlet('remix.yaml', () => talkie.remixOf(clip, chosen(), prompt.value));
    for (const field of [prompt, ...boxes]) field.addEventListener('input', out.fill);
    open('Remix',
      few.length > 1 ? el('fieldset', {}, el('legend', {}, 'Shots to make anew'),
        ...few.map((s, i) => el('label', {class: 'choice'}, boxes[i],
          el('span', {}, `${i} · `, el('bdi', {}, s.prompt || 'without words'))))) : '',
      el('label', {for: 'remix-prompt'}, 'What they show instead'), prompt,
      el('p', {class: 'quiet'}, 'The storyboard, ready for talkie:'), ...out.parts);
    out.copy();
  };

  // ---- report ----

  const grounds = ['It shows a person who did not agree to it', 'It is harmful or against the law',
    'It is not by whom it seems to be', 'Something else'];

  // As the keeper's takedown list has it: a report is such a list already.
  talkie.reportOf = (clip, reason, from, day) => [
    `# A report of ${talkie.yaml(clip.name)}, for whoever keeps this gallery. It is a takedown list of`,
    '# talkie gallery, or an entry for one that is there.',
    'takedown:',
    `  - clip: ${talkie.yaml(clip.lineage[0].label)}`,
    `    claim: ${talkie.yaml(clip.lineage[0].claim)}`,
    `    reason: ${talkie.yaml(reason)}`,
    ...(from ? [`    from: ${talkie.yaml(from)}`] : []),
    `    date: ${talkie.yaml(day)}`, ''].join('\n');

  const report = clip => {
    const radios = grounds.map((g, i) => el('input', {type: 'radio', name: 'ground', value: g, checked: i === 0 || undefined}));
    const words = el('textarea', {rows: '2', id: 'report-words', maxlength: '1000', dir: 'auto'});
    const from = el('input', {type: 'text', id: 'report-from', maxlength: '200', autocomplete: 'off'});
    const day = new Date().toISOString().slice(0, 10);
    const out = outlet('report.yaml', () => talkie.reportOf(clip,
      [radios.find(r => r.checked).value, words.value.trim()].filter(w => w).join(': '), from.value.trim(), day));
    for (const field of [...radios, words, from]) field.addEventListener('input', out.fill);
    open('Report this clip',
      el('p', {class: 'quiet'}, 'This page sends nothing anywhere. Copy or save the report and give it to whoever keeps ' +
        'the gallery: what is on its takedown list is not in the next one, nor is anything made from it.'),
      el('fieldset', {}, el('legend', {}, 'What is wrong'),
        ...grounds.map((g, i) => el('label', {class: 'choice'}, radios[i], g))),
      el('label', {for: 'report-words'}, 'In your words'), words,
      el('label', {for: 'report-from'}, 'How you can be reached, if you like'), from, ...out.parts);
  };

  // ---- proof and page ----

  const facts = pairs => el('dl', {}, ...pairs.flatMap(([k, v]) => [el('dt', {}, k), el('dd', {}, el('bdi', {}, v))]));

  const proof = clip => {
    const own = clip.lineage[0], model = own.from.find(i => i.type === 'c2pa.types.model');
    open('Made with talkie, verified',
      el('p', {}, 'When this page was built the signed manifest in the clip was checked: its signature holds, and so ' +
        'does the hash over pictures and sound. ' + (clip.trusted
        ? 'Its signer leads to a certificate that this gallery trusts.'
        : 'Who the signer is was not asked: this gallery names nobody whom it trusts.') + (clip.marked
        ? ' The mark in its pictures or sound was found as well.' : '')),
      facts([['Signed by', own.signer || 'nobody named'], ['Title', own.title], ['Model', model ? `${model.title}, ${model.words}` : '?'],
        ['Manifest', own.label], ['Claim', own.claim], ['Number', clip.number], ['Why it is here now', `${clip.why} (${clip.sum})`]]),
      el('p', {class: 'quiet'}, 'Check it yourself: talkie verify ', el('code', {}, `clips/${clip.number}.mp4`),
        '. Prompts and styles come from the file beside the clip, which nobody signed.'));
  };

  const keys = [['↓ ↑, J K, wheel, swipe', 'next and previous clip'], ['Space', 'play or stand'], ['M', 'sound'],
    ['C', 'captions'], ['L', 'like'], ['T', 'where it comes from'], ['R', 'remix'], ['/', 'search'],
    ['Home, End', 'first and last clip'], ['?', 'this panel']];

  const about = () => {
    const {clips, leftOut} = talkie.site;
    const letters = el('input', {type: 'checkbox', checked: talkie.kept.get('letters') || undefined,
      oninput: e => talkie.kept.set('letters', e.target.checked)});
    open('About this page',
      el('p', {}, `${clips.length} clips, each with a manifest that holds. Everything lies in this folder; the page asks ` +
        'no network and tells nobody what you watch. Likes stay in this browser.'),
      el('h3', {}, 'For you'),
      el('p', {}, 'A clip’s score is its recency (1 for the newest, half for each week older) plus twice its similarity to ' +
        'what you liked (shared words of prompts and styles, rare ones weigh more) less 0.5 if you have seen it. ' +
        'Newest is by time alone.'),
      el('button', {type: 'button', class: 'forget', onclick: () => {
        talkie.kept.set('likes', []);
        talkie.kept.set('seen', []);
        talkie.say('Forgotten');
        talkie.rearrange();
      }}, 'Forget what I liked and saw'),
      el('h3', {}, 'Keys'), facts(keys), el('label', {class: 'choice'}, letters, 'Letters are keys'),
      el('h3', {}, `Left out: ${leftOut.length}`),
      leftOut.length ? el('ul', {class: 'left-out'}, ...leftOut.map(o => el('li', {}, el('bdi', {class: 'title'}, o.name),
        el('span', {class: 'how'}, o.why)))) : el('p', {class: 'quiet'}, 'Nothing.'));
  };

  const lineage = clip => open('Where it comes from', talkie.lineageOf(clip, to => {
    talkie.goTo(to);
    lineage(to);
  }));

  talkie.panels = {lineage, remix, report, proof, about};
})(window.talkie);
