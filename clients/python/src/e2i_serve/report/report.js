"use strict";
(() => {
    const drawings = JSON.parse(document.getElementById("drawings").textContent);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const draw = () => {
        const style = getComputedStyle(document.documentElement);
        const colour = (name) => style.getPropertyValue(name).trim();
        for (const place of document.querySelectorAll(".drawing")) {
            const { data, layout } = structuredClone(drawings[place.dataset.drawing]);
            const axis = { gridcolor: colour("--line"), linecolor: colour("--line"), tickcolor: colour("--line") };
            Object.assign(layout, {
                paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true,
                font: { ...layout.font, color: colour("--text"), family: "system-ui, sans-serif", size: 13 },
                xaxis: { ...layout.xaxis, ...axis }, yaxis: { ...layout.yaxis, ...axis },
                hoverlabel: { bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--text") } },
            });
            Plotly.react(place, data, layout, { responsive: true, displayModeBar: false });
        }
    };
    draw();
    dark.addEventListener("change", draw);
})();
