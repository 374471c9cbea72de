// What a page must not do to its readers; answers a list of complaints, evaluated in the page.
() => {
  const found = [];
  const luminance = ([r, g, b]) => {
    const f = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b);
  };
  const parse = (color) => {
    const [r, g, b, a = 1] = color.match(/[\d.]+/g).map(Number);
    return [r, g, b, a];
  };
  const background = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color[3] === 1) return color;
    }
    return parse(getComputedStyle(document.documentElement).colorScheme.startsWith("dark") ? "rgb(0,0,0)" : "rgb(255,255,255)");
  };
  const name = (node) => `${node.tagName.toLowerCase()}.${node.className.baseVal ?? node.className}`;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility() || node.closest(".unseen, svg, template, noscript")) continue;
    const style = getComputedStyle(node);
    const [front, back] = [luminance(parse(style.color)), luminance(background(node))];
    const contrast = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
    if (contrast < 4.5) found.push(`contrast ${contrast.toFixed(2)} of ${name(node)}: ${walker.currentNode.data.trim().slice(0, 40)}`);
  }
  for (const node of document.querySelectorAll("input, select, textarea"))
    if (node.type !== "hidden" && !node.labels?.length && !node.ariaLabel) found.push(`no label: ${name(node)}`);
  for (const node of document.querySelectorAll("a, button"))
    if (node.checkVisibility() && !node.textContent.trim() && !node.ariaLabel) found.push(`no name: ${name(node)}`);
  for (const node of document.querySelectorAll("svg"))
    if (!node.closest("[aria-hidden=true]") && !(node.getAttribute("role") === "img" && node.querySelector("title")?.textContent))
      found.push(`svg neither named nor hidden: ${name(node)}`);
  for (const node of document.querySelectorAll("section, aside, nav"))
    if (node.checkVisibility() && node.getAttribute("aria-labelledby") && !document.getElementById(node.getAttribute("aria-labelledby")))
      found.push(`label leads nowhere: ${name(node)}`);
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) found.push(`id twice: ${id}`);
  const levels = [...document.querySelectorAll("h1, h2, h3")].filter((node) => node.checkVisibility()).map((node) => Number(node.tagName[1]));
  if (levels.filter((level) => level === 1).length !== 1) found.push(`headings of level 1: ${levels}`);
  levels.forEach((level, i) => { if (i && level > levels[i - 1] + 1) found.push(`a heading skips a level: ${levels}`); });
  if (!document.documentElement.lang) found.push("no language");
  for (const landmark of ["header", "nav", "main", "footer"]) if (!document.querySelector(landmark)) found.push(`no ${landmark}`);
  if (document.documentElement.scrollWidth > innerWidth) found.push(`wider than the window: ${document.documentElement.scrollWidth}`);
  return found;
}
