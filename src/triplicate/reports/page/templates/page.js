"use strict";
// Sorting, filtering and switches of a page; the charts themselves are drawn by Vega.
(() => {
  const find = (selector, within = document) => within.querySelector(selector);
  const findAll = (selector, within = document) => [...within.querySelectorAll(selector)];
  const data = (name) => JSON.parse(find(`#${name}-data`)?.textContent ?? "null");
  const make = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };

  // ---- tables

  const value = (body, column) => body.rows[0].cells[column].dataset.value;

  // Numbers by size, else as text; what is empty comes last in both directions.
  const compared = (a, b, sign) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    const numbers = Number(a) - Number(b);
    return sign * (Number.isNaN(numbers) ? a.localeCompare(b, "en", { numeric: true }) : numbers);
  };

  const sort = (table, heading) => {
    const column = heading.cellIndex;
    const first = heading.classList.contains("number") ? "descending" : "ascending";
    const other = first === "descending" ? "ascending" : "descending";
    const direction = heading.getAttribute("aria-sort") === first ? other : first;
    findAll("thead th", table).forEach((one) => one.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    table.append(...[...table.tBodies].sort((a, b) => compared(value(a, column), value(b, column), sign)));
  };

  findAll("table.sortable").forEach((table) =>
    findAll("thead th", table).forEach((heading) =>
      find("button", heading).addEventListener("click", () => sort(table, heading)),
    ),
  );

  const filter = find("#filter");
  filter?.addEventListener("input", () => {
    const bodies = [...find("#results").tBodies];
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    bodies.forEach((body) => {
      const text = body.rows[0].textContent.toLowerCase();
      body.hidden = !words.every((word) => text.includes(word));
    });
    const left = bodies.filter((body) => !body.hidden).length;
    find("#filtered").textContent = words.length ? `${left} of ${bodies.length} rows` : "";
  });

  const pressed = (button, is) => button?.setAttribute("aria-pressed", String(is));

  const everySeed = find("#every-seed");
  everySeed?.addEventListener("click", () => {
    const shown = everySeed.getAttribute("aria-pressed") !== "true";
    pressed(everySeed, shown);
    findAll("#results .seed").forEach((row) => (row.hidden = !shown));
  });

  findAll(".copy").forEach((button) =>
    button.addEventListener("click", async () => {
      const code = find("code", button.parentElement);
      getSelection().selectAllChildren(code); // where the clipboard is closed to pages, the next key copies
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Selected";
      }
    }),
  );

  // ---- confusion matrices

  const matrices = data("matrices");
  const matrix = find("#matrix");
  matrix?.addEventListener("change", () => {
    const [group, choice] = matrix.value.split(".").map(Number);
    const counts = matrices.groups[group].choices[choice].counts;
    [...find("#counts").tBodies[0].rows].forEach((row, truth) => {
      const total = counts[truth].reduce((sum, count) => sum + count, 0) || 1;
      findAll("td", row).forEach((cell, predicted) => {
        cell.textContent = counts[truth][predicted];
        cell.style.setProperty("--part", Math.sqrt(counts[truth][predicted] / total).toFixed(3));
      });
    });
  });

  // ---- charts

  const OPTIONS = {
    renderer: "svg",
    actions: false,
    tooltip: false,
    logLevel: 1, // errors: that a layer has nothing to draw is none
    patch: (drawn) => {
      // The marks of a zoom have no name that could be read out.
      drawn.marks.filter(({ name }) => name?.startsWith("brush")).forEach((mark) => (mark.aria = false));
      return drawn;
    },
  };

  const written = (number, isPercent) => {
    if (number === null || number === undefined) return "–";
    if (isPercent) return number.toFixed(2);
    const size = Math.abs(number);
    return size !== 0 && (size >= 1e5 || size < 1e-3) ? number.toExponential(2) : String(+number.toPrecision(4));
  };

  // What the lines of a chart are, and the values of each run: for the epochs and for the steps.
  const curves = (shown, all) => ({
    unit: "epoch",
    lines: all.rows,
    colours: all.colours,
    dashes: all.dashes,
    axis: all.axis,
    isPercent: all.measures[shown.measure].percent,
    panels: all.measures[shown.measure].panels.map(({ column, label }) => ({
      label,
      series: all.values[column].map((ys, run) => ({ line: all.runs[run][0], run, ys, x: (place) => place + 1 })),
    })),
  });

  const traces = (shown, all) => {
    const view = all.views[shown.view];
    const byRow = view.layer !== undefined;
    const chosen = all.series.filter(
      ([run, layer, statistic]) =>
        statistic === shown.measure && (byRow ? layer === view.layer : all.runs[run][0] === view.row),
    );
    return {
      unit: "step",
      lines: byRow ? all.rows : all.layers,
      colours: byRow ? all.colours : all.layer_colours,
      dashes: byRow ? all.dashes : all.layer_dashes,
      axis: byRow ? all.axis : "layer",
      isPercent: false,
      panels: [
        {
          label: `${all.statistics[shown.measure].label}, ${view.label}`,
          series: chosen.map(([run, layer, , grid, ys]) => ({
            line: byRow ? all.runs[run][0] : layer,
            run,
            ys,
            x: (place) => all.steps[grid][place],
          })),
        },
      ],
    };
  };

  const points = (panel, shown) =>
    panel.series.flatMap(({ line, run, ys, x }) =>
      ys
        .map((y, place) => ({ x: x(place), y, line, run }))
        .filter((one) => one.y !== null && one.x >= shown.from && one.x <= shown.to && (!shown.log || one.y > 0)),
    );

  // The mean over the runs of a line at an epoch, or at the last step before.
  const valueAt = (panel, line, at) => {
    const found = panel.series
      .filter((one) => one.line === line)
      .map(({ ys, x }) => ys.findLast((y, place) => x(place) <= at && y !== null && at - x(place) < panel.reach))
      .filter((y) => y !== undefined);
    return found.length ? found.reduce((sum, y) => sum + y, 0) / found.length : null;
  };

  const specification = (chart, told, panel, shown) => {
    const spec = structuredClone(chart);
    const numbers = told.lines.map((_, number) => number);
    spec.description = `${panel.label} over the ${told.unit}s, a line for each of ${told.lines.join(", ")}`;
    spec.datasets.points = points(panel, shown);
    spec.encoding.x.scale.domain = [shown.from, shown.to];
    Object.assign(spec.encoding.color.scale, { domain: numbers, range: told.colours });
    for (const { encoding } of spec.layer) {
      if (encoding.y) encoding.y.scale = shown.log ? { type: "log" } : encoding.y.scale;
      if (encoding.strokeDash) Object.assign(encoding.strokeDash.scale, { domain: numbers, range: told.dashes });
    }
    const values = { hidden: [...shown.hidden], at: shown.at, seeds: shown.seeds };
    spec.params.forEach((param) => (param.value = values[param.name]));
    return spec;
  };

  const swatch = (colour, dash) => {
    const space = "http://www.w3.org/2000/svg";
    const picture = document.createElementNS(space, "svg");
    const line = document.createElementNS(space, "line");
    const attributes = { x1: 0, x2: 24, y1: 4, y2: 4, "stroke-width": 2.5, "stroke-dasharray": dash.join(" ") };
    for (const [name, of] of Object.entries(attributes)) line.setAttribute(name, of);
    line.style.stroke = colour;
    picture.setAttribute("width", 24);
    picture.setAttribute("height", 8);
    picture.setAttribute("aria-hidden", "true");
    picture.append(line);
    return picture;
  };

  const chartsOf = (section, all, tell) => {
    if (!section || !all) return;
    const part = (role) => find(`[data-role="${role}"]`, section);
    const kinds = all.measures ?? all.statistics;
    const shown = {
      ...(all.start ?? { measure: 0, view: 0 }),
      hidden: new Set(), seeds: all.last === 1, from: 1, to: all.last, at: all.last,
    };
    shown.log = kinds[shown.measure].log;
    part("measure").value = shown.measure;
    if (part("view")) part("view").value = shown.view;
    let views = [];
    let told = null;
    let turn = 0;

    const signal = (name, of) => views.forEach((view) => view.signal(name, of).runAsync());

    const readOut = () => {
      findAll("[data-line]", part("legend")).forEach((row) =>
        told.panels.forEach((panel, place) => {
          row.cells[place + 1].textContent = written(valueAt(panel, Number(row.dataset.line), shown.at), told.isPercent);
        }),
      );
      findAll("[data-at]", part("legend")).forEach((one) => (one.textContent = `${told.unit} ${shown.at}`));
    };

    const hide = (lines) => {
      shown.hidden = new Set(lines);
      findAll("[data-line]", part("legend")).forEach((row) =>
        pressed(find("button", row), !shown.hidden.has(Number(row.dataset.line))),
      );
      signal("hidden", [...shown.hidden]);
    };

    const toggled = (line) => {
      const hidden = new Set(shown.hidden);
      if (!hidden.delete(line)) hidden.add(line);
      hide(hidden);
    };

    const legend = () => {
      const used = new Set(told.panels.flatMap((panel) => panel.series.map((one) => one.line)));
      const headings = told.panels.map((panel) =>
        make("th", { scope: "col", class: "number" }, told.panels.length > 1 ? panel.label : "value"),
      );
      const bodies = told.lines.map((name, line) => {
        if (!used.has(line)) return "";
        const button = make("button", { type: "button" }, swatch(told.colours[line], told.dashes[line]), make("span", {}, name));
        pressed(button, !shown.hidden.has(line));
        button.addEventListener("click", () => toggled(line));
        const cells = told.panels.map(() => make("td", { class: "number" }));
        return make("tr", { "data-line": line }, make("th", { scope: "row" }, button), ...cells);
      });
      const table = make(
        "table", {},
        make("caption", {}, "Values at ", make("span", { "data-at": "" }), told.unit === "step" ? ", means over the runs" : ", means over the seeds"),
        make("thead", {}, make("tr", {}, make("th", { scope: "col" }, told.axis), ...headings)),
        make("tbody", {}, ...bodies.filter(Boolean)),
      );
      const none = make("button", { type: "button" }, "Hide all");
      const every = make("button", { type: "button" }, "Show all");
      none.addEventListener("click", () => hide(used));
      every.addEventListener("click", () => hide([]));
      const tools = used.size > 3 ? [make("div", { class: "tools" }, every, none)] : [];
      part("legend").replaceChildren(table, ...tools);
      readOut();
    };

    const follow = (view, chart) => {
      chart.addEventListener("pointermove", (event) => {
        const left = find("svg", chart).getBoundingClientRect().left + view.origin()[0];
        const at = Math.round(view.scale("x").invert(event.clientX - left));
        if (at === shown.at || at < shown.from || at > shown.to) return;
        shown.at = at;
        signal("at", at);
        readOut();
      });
      let dragged = null;
      view.addSignalListener("brush", (_, of) => (dragged = of.x ?? null));
      chart.addEventListener("pointerdown", () =>
        addEventListener("pointerup", () => setTimeout(() => dragged && zoom(...dragged)), { once: true }),
      );
    };

    const draw = async () => {
      const own = ++turn;
      told = tell(shown, all);
      told.panels.forEach((panel) => (panel.reach = told.unit === "epoch" ? 1 : Infinity));
      pressed(part("log"), shown.log);
      legend();
      const drawn = told.panels.map((panel) => {
        const chart = make("div", { class: "chart" });
        const left = shown.log && panel.series.some(({ ys }) => ys.some((y) => y !== null && y <= 0));
        const title = panel.label + (left ? " (only what is above 0)" : "");
        return { panel, chart, box: make("div", { class: "panel" }, make("h3", {}, title), chart) };
      });
      views.forEach((view) => view.finalize());
      views = [];
      part("panels").replaceChildren(...drawn.map(({ box }) => box));
      for (const { panel, chart } of drawn) {
        const spec = specification(all.chart, told, panel, shown);
        const { view } = await vegaEmbed(chart, spec, OPTIONS);
        if (own !== turn) return view.finalize();
        views.push(view);
        follow(view, chart);
      }
      section.dataset.drawn = String(own);
    };

    const zoom = (from, to) => {
      const [low, high] = [Math.max(1, Math.ceil(from)), Math.min(all.last, Math.floor(to))];
      if (high > low || all.last === 1) Object.assign(shown, { from: low, to: high, at: high });
      part("from").value = shown.from;
      part("to").value = shown.to;
      return draw();
    };

    pressed(part("seeds"), shown.seeds);
    part("measure").addEventListener("change", (event) => {
      shown.measure = Number(event.target.value);
      shown.log = kinds[shown.measure].log;
      draw();
    });
    part("view")?.addEventListener("change", (event) => {
      Object.assign(shown, { view: Number(event.target.value), hidden: new Set() });
      draw();
    });
    part("seeds")?.addEventListener("click", () => {
      shown.seeds = !shown.seeds;
      pressed(part("seeds"), shown.seeds);
      signal("seeds", shown.seeds);
    });
    part("log").addEventListener("click", () => {
      shown.log = !shown.log;
      draw();
    });
    for (const role of ["from", "to"]) {
      part(role).addEventListener("change", () => zoom(Number(part("from").value), Number(part("to").value)));
    }
    part("first")?.addEventListener("click", (event) => zoom(1, Number(event.target.dataset.steps)));
    part("all").addEventListener("click", () => zoom(1, all.last));
    return draw();
  };

  const drawAll = async () => {
    await chartsOf(find("#curves"), data("curves"), curves);
    await chartsOf(find("#traces"), data("traces"), traces);
    document.body.dataset.ready = "";
  };
  drawAll();
})();
