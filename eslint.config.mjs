// The rules of the scripts of pages, those of a page in one scope: `npx eslint wave_jax/*/browser`.
export default [
  {
    languageOptions: { ecmaVersion: 2023, sourceType: "script" },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "no-unused-vars": ["error", { vars: "local" }],
      "no-undef": "off",
      "prefer-const": ["error", { destructuring: "all" }],
      eqeqeq: "error",
      "no-var": "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-shadow": "error",
      "no-redeclare": "error",
      "no-unreachable": "error",
      "no-self-compare": "error",
      "no-constant-condition": "error",
      "no-dupe-keys": "error",
      "no-fallthrough": "error",
      "no-useless-return": "error",
      complexity: ["error", 16],
      "max-lines-per-function": ["error", 50],
      "max-len": ["error", { code: 110, ignoreStrings: true, ignoreTemplateLiterals: true }],
    },
  },
];
