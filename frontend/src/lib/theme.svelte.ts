// Light or dark: as the system has it, until somebody chooses.

const system = matchMedia("(prefers-color-scheme: dark)");

class Theme {
  dark = $state(false);

  start(): void {
    system.onchange = () => this.#show(localStorage.getItem("theme") ?? "");
    this.#show(localStorage.getItem("theme") ?? "");
  }

  toggle(): void {
    const chosen = this.dark ? "light" : "dark";
    localStorage.setItem("theme", chosen);
    this.#show(chosen);
  }

  #show(chosen: string): void {
    this.dark = chosen ? chosen === "dark" : system.matches;
    document.documentElement.dataset["theme"] = this.dark ? "dark" : "light";
  }
}

export const theme = new Theme();
