/* Niceties for pages that work without them. Nothing here is needed to send an enquiry.

   No page text stands in this file: what it says comes from data attributes of #live, so that the
   translations stay in one catalogue. Syntax is kept to what browsers inside chat apps know. */
(function () {
  "use strict";

  var root = document.documentElement;
  var live = document.getElementById("live");
  var form = document.getElementById("enquiry");
  var DRAFT = "directory:draft";

  root.classList.add("js");

  function all(selector, within) {
    return Array.prototype.slice.call((within || document).querySelectorAll(selector));
  }

  /* One polite region for the whole page. It is emptied first, because screen readers stay silent
     when a text is replaced by the same text. */
  var speaking;
  function say(text) {
    clearTimeout(speaking);
    live.textContent = "";
    speaking = setTimeout(function () { live.textContent = text; }, 60);
  }

  /* --- copy ------------------------------------------------------------ */

  /* The clipboard API exists on https and loopback only; institutes do serve plain http inside. */
  function copyByHand(text) {
    var box = document.createElement("textarea");
    box.value = text;
    box.className = "vh";
    box.setAttribute("readonly", "");
    document.body.appendChild(box);
    box.select();
    var done = document.execCommand("copy");
    document.body.removeChild(box);
    return done;
  }

  function copied(button) {
    var word = button.firstChild;
    var before = button.getAttribute("data-word") || word.nodeValue;
    button.setAttribute("data-word", before);
    word.nodeValue = live.dataset.copied;
    button.classList.add("done");
    say(live.dataset.copied);
    setTimeout(function () {
      word.nodeValue = before;
      button.classList.remove("done");
    }, 2500);
  }

  function copy(button) {
    var text = button.dataset.copy;
    function byHand() {
      if (copyByHand(text)) { button.focus(); copied(button); }
    }
    if (navigator.clipboard && window.isSecureContext) {
      navigator.clipboard.writeText(text).then(function () { copied(button); }, byHand);
    } else {
      byHand();
    }
  }

  /* --- the reader's own time -------------------------------------------- */

  /* " (10:30 your time)": only where the reader's clock differs at that very moment. */
  function localTime(element) {
    var stamp = element.getAttribute("datetime");
    var moment = new Date(stamp);
    var offset = /([+-])(\d\d):?(\d\d)$/.exec(stamp);
    if (isNaN(moment) || !(offset || /Z$/.test(stamp))) { return; }
    var theirs = offset ? (offset[1] === "-" ? -1 : 1) * (offset[2] * 60 + +offset[3]) : 0;
    var ours = -moment.getTimezoneOffset();
    if (theirs === ours) { return; }
    var language = root.lang === "zh-Hans" ? "zh-CN" : "en-GB";
    var shape = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    function dayAt(minutes) { return Math.floor((moment.getTime() / 60000 + minutes) / 1440); }
    if (dayAt(theirs) !== dayAt(ours)) { shape.weekday = "short"; }
    var note = document.createElement("span");
    note.className = "local";
    note.textContent = live.dataset.local.replace("{time}", new Intl.DateTimeFormat(language, shape).format(moment));
    element.insertAdjacentElement("afterend", note);
  }

  /* --- counting --------------------------------------------------------- */

  /* As the server counts: code points after trimming, a line break is one. */
  function length(text) {
    return Array.from(text.replace(/\r\n?/g, "\n").trim()).length;
  }

  function counter(line) {
    var box = document.getElementById(line.dataset.for);
    var max = +line.dataset.max;
    var number = new Intl.NumberFormat(root.lang);
    var pause;
    function show() {
      var n = length(box.value);
      line.textContent = line.dataset.text.replace("{n}", number.format(n)).replace("{max}", number.format(max));
      line.classList.toggle("over", n > max);
      clearTimeout(pause);
      /* Spoken only near the end, and once the typing rests. */
      if (n > max * 0.9) {
        pause = setTimeout(function () {
          say((n > max ? live.dataset.over : live.dataset.left).replace("{n}", Math.abs(max - n)));
        }, 600);
      }
    }
    box.addEventListener("input", show);
    show();
  }

  /* --- draft ------------------------------------------------------------ */

  /* Kept in this tab only. Never the email address: others may use the same computer. */
  var KEPT = ["subject", "message", "name", "organisation", "phone", "country", "reply_by", "reply_language"];

  function store(action) {
    /* Storage can be forbidden by the browser's settings; then there is simply no draft. */
    try { return action(window.sessionStorage); } catch (refused) { return null; }
  }

  function valueOf(name) {
    var control = form.elements[name];
    return control ? control.value : "";
  }

  function saveDraft() {
    var draft = {};
    KEPT.forEach(function (name) { draft[name] = valueOf(name); });
    store(function (storage) {
      if (draft.message.trim() || draft.subject.trim()) {
        storage.setItem(DRAFT, JSON.stringify(draft));
      } else {
        storage.removeItem(DRAFT);
      }
    });
  }

  function dropDraft() {
    store(function (storage) { storage.removeItem(DRAFT); });
  }

  function restoreDraft() {
    var draft = store(function (storage) { return JSON.parse(storage.getItem(DRAFT)); });
    if (!draft || form.dataset.fresh !== "true" || valueOf("message")) { return; }
    var before = {};
    KEPT.forEach(function (name) {
      before[name] = valueOf(name);
      if (draft[name] && form.elements[name]) { form.elements[name].value = draft[name]; }
    });
    var bar = document.getElementById("draft");
    bar.hidden = false;
    document.getElementById("draft-discard").addEventListener("click", function () {
      KEPT.forEach(function (name) { if (form.elements[name]) { form.elements[name].value = before[name]; } });
      dropDraft();
      bar.hidden = true;
      form.elements.message.dispatchEvent(new Event("input"));
      form.elements.message.focus();
    });
  }

  /* --- a likely slip in the address ------------------------------------- */

  /* Offered and never applied: the visitor's own spelling may be right. */
  var COMMON = ["gmail.com", "outlook.com", "hotmail.com", "yahoo.com", "icloud.com", "foxmail.com",
    "qq.com", "163.com", "126.com", "aliyun.com"];
  /* One slip away from a common one, and real. */
  var REAL = ["mail.com", "ymail.com", "yahoo.co", "live.com"];

  /* One letter missing, added, wrong, or two neighbours swapped. */
  function oneSlip(a, b) {
    var start = 0;
    while (start < a.length && a[start] === b[start]) { start++; }
    var restA = a.slice(start), restB = b.slice(start);
    return a !== b && (restA.slice(1) === restB || restA === restB.slice(1) ||
      restA.slice(1) === restB.slice(1) ||
      (restA[0] === restB[1] && restA[1] === restB[0] && restA.slice(2) === restB.slice(2)));
  }

  function better(address) {
    var parts = address.trim().toLowerCase().split("@");
    var domain = parts[1] || "";
    if (parts.length !== 2 || COMMON.indexOf(domain) >= 0 || REAL.indexOf(domain) >= 0) { return ""; }
    var meant = COMMON.filter(function (common) {
      /* Short names are too near each other: there only the ending may be wrong. */
      return oneSlip(domain, common) && (common.length > 8 || domain.split(".")[0] === common.split(".")[0]);
    })[0];
    return meant ? address.trim().split("@")[0] + "@" + meant : "";
  }

  function watchAddress(box) {
    var offer = document.getElementById("email-suggest");
    var kept = "";
    box.addEventListener("change", function () {
      var meant = better(box.value);
      offer.hidden = !meant || box.value === kept;
      if (offer.hidden) { return; }
      offer.dataset.meant = meant;
      offer.firstElementChild.textContent = offer.dataset.text.replace("{email}", meant);
      say(offer.firstElementChild.textContent);
    });
    offer.addEventListener("click", function (event) {
      var button = event.target.closest("button");
      if (!button) { return; }
      if (button.hasAttribute("data-use")) { box.value = offer.dataset.meant; } else { kept = box.value; }
      offer.hidden = true;
      box.focus();
    });
  }

  /* --- where it goes ------------------------------------------------------ */

  /* The parts that say so are asked for again once what they depend on has changed and rests. They
     come as the server would have put them into the page; without an answer everything stays. */
  function destination() { return document.getElementById("destination").dataset; }

  function facts() {
    var told = ["topic", "department", "answer", "country", "reply_language"].map(valueOf);
    /* Words count only as long as they may change anything. */
    if (destination().certain === "false") { told.push(valueOf("subject"), valueOf("message")); }
    return told.join("\n");
  }

  /* What has the focus keeps it, where the new part has the like. */
  function replace(old, part) {
    var controls = "a, button, input, select, textarea";
    var at = all(controls, old).indexOf(document.activeElement);
    old.parentNode.replaceChild(document.adoptNode(part), old);
    if (at >= 0) { (all(controls, part)[at] || form.elements.message).focus(); }
    all("time[data-local]", part).forEach(localTime);
  }

  function renew(page) {
    var before = destination().department;
    all("[data-part]", page).forEach(function (part) {
      var old = document.querySelector('[data-part="' + part.dataset.part + '"]');
      var key = part.dataset.key;
      if (old && (key === undefined ? old.innerHTML !== part.innerHTML : old.dataset.key !== key)) { replace(old, part); }
    });
    if (destination().department !== before) {
      document.title = page.title + document.title.slice(document.title.lastIndexOf(" · "));
      say(destination().said);
    }
  }

  /* --- sending ---------------------------------------------------------- */

  function sendButton() { return form.querySelector('.send button[value="send"]'); }

  function choice() { return valueOf("topic") + " " + valueOf("department"); }

  function press(button) {
    if (form.requestSubmit) { form.requestSubmit(button); } else { button.click(); }
  }

  function enquiry() {
    var shown = choice();
    var sending = false;
    var composing = false;
    var pause;

    /* Where it goes, asked when `known` is out of date. */
    var known = facts();
    var rest, asking;
    function look() {
      var told = facts(), chosen = choice();
      if (told === known || sending || composing) { return; }
      known = told;
      if (asking) { asking.abort(); }
      asking = new AbortController();
      var body = new URLSearchParams(new FormData(form));
      body.set("action", "change");
      fetch(form.getAttribute("action") + "?part=where", {
        method: "POST", body: body, signal: asking.signal, credentials: "same-origin"
      }).then(function (answer) {
        return answer.ok ? answer.text() : Promise.reject(answer.status);
      }).then(function (page) {
        if (sending || told !== known) { return; }
        var same = facts() === told;
        renew(new DOMParser().parseFromString(page, "text/html"));
        shown = chosen;
        known = same ? facts() : null;
        if (!same) { later(); }
      }).catch(function () {
        if (told === known) { known = null; }
      });
    }
    function later() {
      if (!window.fetch || !window.AbortController) { return; }
      clearTimeout(rest);
      rest = setTimeout(look, 600);
    }

    restoreDraft();
    later();
    watchAddress(form.elements.email);

    form.addEventListener("input", function () {
      clearTimeout(pause);
      pause = setTimeout(saveDraft, 400);
      later();
    });
    form.addEventListener("change", later);
    /* What was typed in the last moments before leaving, too. */
    window.addEventListener("pagehide", function () {
      if (pause) { clearTimeout(pause); saveDraft(); }
    });
    form.addEventListener("compositionstart", function () { composing = true; });
    form.addEventListener("compositionend", function () { composing = false; later(); });
    form.addEventListener("keydown", function (event) {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !composing && !event.isComposing) {
        event.preventDefault();
        press(sendButton());
      }
    });

    form.addEventListener("submit", function (event) {
      if (sending) { event.preventDefault(); return; }
      clearTimeout(pause);
      saveDraft();
      var change = document.querySelector('#change button[value="change"]');
      var pressed = event.submitter;
      /* Another topic was chosen but not shown yet: first show where it goes. */
      if (choice() !== shown && pressed && pressed.value === "send") {
        event.preventDefault();
        /* A form that is being submitted takes no second submission until this one is over. */
        setTimeout(press, 0, change);
        return;
      }
      sending = true;
      if (!pressed || pressed.value === "send") {
        /* The button keeps its words and its value: disabling it would take "send" off the form. */
        var note = document.createElement("span");
        note.className = "sending";
        note.textContent = live.dataset.sending;
        sendButton().appendChild(note);
        sendButton().setAttribute("aria-disabled", "true");
        say(live.dataset.sending);
      }
    });

    /* Coming back with the Back button finds the page as it was left: frozen, and sending. */
    window.addEventListener("pageshow", function (event) {
      if (!event.persisted) { return; }
      sending = false;
      sendButton().removeAttribute("aria-disabled");
      all(".sending", form).forEach(function (note) { note.parentNode.removeChild(note); });
    });
  }

  /* --- light and dark --------------------------------------------------- */

  /* The form in the footer works by itself; here it saves the reload, and with it typed text. */
  function appearance(theme) {
    theme.addEventListener("submit", function (event) {
      var pressed = event.submitter;
      if (!pressed || !window.fetch) { return; }
      event.preventDefault();
      var body = new URLSearchParams(new FormData(theme));
      body.set("theme", pressed.value);
      fetch(theme.action, { method: "POST", body: body, redirect: "manual" }).then(function () {
        if (pressed.value === "auto") { root.removeAttribute("data-theme"); } else { root.dataset.theme = pressed.value; }
        all("button", theme).forEach(function (button) {
          button.setAttribute("aria-pressed", String(button === pressed));
        });
        say(live.dataset.saved);
      }, function () { theme.submit(); });
    });
  }

  /* --- search, and topics for a description ------------------------------- */

  /* A part of the page changes while one types; it is taken out of the page that a press of the
     button leads to, and what is said of it is said once the typing rests. An input method that is
     composing has no word yet. `ask` makes the request of a text: [address, options]. */
  function follow(box, id, ask) {
    var place = document.getElementById(id);
    var shown = box.value.trim();
    var pause, asking;

    function show(text) {
      if (text === shown) { return; }
      shown = text;
      if (asking) { asking.abort(); }
      if (!text) { place.textContent = ""; return; }
      asking = new AbortController();
      var request = ask(text);
      request[1].signal = asking.signal;
      request[1].credentials = "same-origin";
      fetch(request[0], request[1]).then(function (answer) {
        return answer.ok ? answer.text() : Promise.reject(answer.status);
      }).then(function (page) {
        var found = new DOMParser().parseFromString(page, "text/html").getElementById(id);
        if (text !== shown || !found) { return; }
        place.textContent = "";
        while (found.firstChild) { place.appendChild(document.adoptNode(found.firstChild)); }
        say(found.dataset.said);
        if (place.dataset.said !== undefined && !request[1].method) { history.replaceState(null, "", request[0]); }
      }).catch(function () {
        /* Given up for the next letter, or no answer: the button still asks. */
        if (text === shown) { shown = null; }
      });
    }

    function later() {
      clearTimeout(pause);
      pause = setTimeout(function () { show(box.value.trim()); }, 600);
    }
    box.addEventListener("input", function (event) { if (!event.isComposing) { later(); } });
    box.addEventListener("compositionstart", function () { clearTimeout(pause); });
    box.addEventListener("compositionend", later);
  }

  function found(text) {
    return [document.getElementById("f-q").form.action + "?q=" + encodeURIComponent(text), {}];
  }

  function suggested() {
    var box = document.getElementById("describe");
    var body = new URLSearchParams(new FormData(box));
    body.set("action", "suggest");
    /* Not box.action: that is the button of this name. */
    return [box.getAttribute("action"), { method: "POST", body: body }];
  }

  /* --- begin ------------------------------------------------------------ */

  document.addEventListener("click", function (event) {
    var button = event.target.closest("[data-copy]");
    if (button) { copy(button); }
    if (event.target.closest("[data-print]")) { window.print(); }
  });

  all("time[data-local]").forEach(localTime);
  all(".count[data-max]").forEach(counter);
  all("form.theme").forEach(appearance);
  if (window.matchMedia("(max-width: 40em)").matches) {
    all("details[data-fold]").forEach(function (details) { details.open = false; });
  }
  if (form) { enquiry(); }
  if (window.fetch && window.AbortController) {
    if (document.getElementById("results")) { follow(document.getElementById("f-q"), "results", found); }
    if (document.getElementById("describe")) { follow(document.getElementById("f-message"), "suggestions", suggested); }
  }
  if (document.querySelector("[data-sent]")) { dropDraft(); }

  /* autofocus does this in new browsers; older ones need a push. */
  var first = document.getElementById("error-summary") || document.querySelector("[data-sent]");
  if (first && document.activeElement !== first) { first.focus(); }
}());
