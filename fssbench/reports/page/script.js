"use strict";
(() => {
// Caveats are printed with the numbers.
addEventListener("beforeprint", () => document.querySelectorAll(".caveats").forEach((one) => (one.open = true)));
const help = document.getElementById("help");
const galleries = [...document.querySelectorAll(".gallery")].map((section) => {
  const field = (name) => document.getElementById(section.dataset.prefix + name);
  const box = field("episodes");
  const form = field("choose");
  const chosen = (name) => (field(name) ? field(name).value : "");
  const cards = [...box.children].map((node) => ({
    node,
    id: node.id,
    fold: node.dataset.fold,
    classes: JSON.parse(node.dataset.classes),
    sizes: JSON.parse(node.dataset.sizes),
    kinds: JSON.parse(node.dataset.kinds),
    ious: JSON.parse(node.dataset.ious),
    mean: Number(node.dataset.mean),
    spread: Number(node.dataset.spread),
    order: Number(node.dataset.order),
  }));

  const value = (card) => (chosen("method") === "" ? card.mean : card.ious[Number(chosen("method"))]);
  const orders = {
    worst: (a, b) => value(a) - value(b),
    best: (a, b) => value(b) - value(a),
    spread: (a, b) => b.spread - a.spread,
    random: (a, b) => a.order - b.order,
    number: () => 0,
  };

  const fits = (card) => {
    const method = chosen("method");
    const kinds = method === "" ? card.kinds.flat() : card.kinds[Number(method)];
    return (
      (!chosen("class") || card.classes.includes(chosen("class"))) &&
      (!chosen("fold") || card.fold === chosen("fold")) &&
      (!chosen("size") || card.sizes.includes(chosen("size"))) &&
      (!chosen("kind") || kinds.includes(chosen("kind")))
    );
  };

  const shown = () => [...box.children].filter((node) => !node.hidden);

  const arrange = () => {
    const order = orders[chosen("sort")];
    const sorted = [...cards].sort((a, b) => order(a, b) || (a.id < b.id ? -1 : 1));
    // A node that is moved loses the focus, so nodes stay where they are in order already.
    const moved = sorted.some((card, place) => box.children[place] !== card.node);
    for (const card of sorted) {
      card.node.hidden = !fits(card);
      if (moved) box.append(card.node);
    }
    const count = shown().length;
    field("count").textContent = `${count} of ${cards.length} episodes`;
    field("none").hidden = count > 0;
  };

  let current = null;
  const go = (node) => {
    if (!node) return;
    current = node;
    history.replaceState(null, "", `#${node.id}`);
    node.focus({ preventScroll: true });
    node.scrollIntoView({ block: "start" });
  };

  const step = (by) => {
    const list = shown();
    const at = list.indexOf(current);
    go(list[at < 0 ? 0 : Math.min(Math.max(at + by, 0), list.length - 1)]);
  };

  const copy = async (node) => {
    const text = node.querySelector(".command code").textContent;
    const button = node.querySelector(".copy");
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(node.querySelector(".command code"));
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  };

  const follow = () => {
    const card = cards.find((one) => `#${one.id}` === location.hash);
    if (!card) return;
    if (card.node.hidden) {
      form.reset();
      arrange();
    }
    go(card.node);
  };

  form.addEventListener("change", arrange);
  form.addEventListener("reset", () => setTimeout(arrange));
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", follow);
  box.addEventListener("click", (event) => {
    const node = event.target.closest(".episode");
    if (event.target.closest(".copy")) copy(node);
    else if (node) current = node;
  });
  const next = () => {
    const sort = field("sort");
    sort.selectedIndex = (sort.selectedIndex + 1) % sort.options.length;
    arrange();
  };
  arrange();
  follow();
  return { section, step, next, first: () => go(shown()[0]), copy: () => current && copy(current) };
});

// Keys are for the gallery of the episode that was gone to last, or else for the first one that is on the screen.
const visible = (one) => {
  const place = one.section.getBoundingClientRect();
  return place.top < innerHeight && place.bottom > 0;
};
const chosen = () =>
  galleries.find((one) => one.section.contains(document.activeElement)) || galleries.find(visible) || galleries[0];

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /SELECT|INPUT|TEXTAREA/.test(event.target.tagName)) return;
  if (help.open || !galleries.length) return;
  const keys = {
    j: () => chosen().step(1),
    ArrowRight: () => chosen().step(1),
    k: () => chosen().step(-1),
    ArrowLeft: () => chosen().step(-1),
    g: () => chosen().first(),
    s: () => chosen().next(),
    c: () => chosen().copy(),
    "?": () => help.showModal(),
  };
  if (!(event.key in keys)) return;
  event.preventDefault();
  keys[event.key]();
});
})();
